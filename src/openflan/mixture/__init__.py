"""Which examples are tuned on and in what order, and the token store that holds them."""
