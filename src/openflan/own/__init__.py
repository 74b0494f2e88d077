"""From a folder of tables to tasks and a recipe: what the columns are to each other, guessed and said."""
