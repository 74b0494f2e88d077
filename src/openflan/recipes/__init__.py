"""A recipe: one experiment as plain data; its parts, settings by dotted key, and how its YAML is read."""
