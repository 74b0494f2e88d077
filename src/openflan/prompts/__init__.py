"""How a task reads: templates become prompts, prompts become tokens."""
