"""Other programs on the same folders, with the same weights: each runs in an environment of its own."""
