"""Studies: grids of recipes, run cell by cell, and what they show of the paper's claims."""
