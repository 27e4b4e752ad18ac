"""Returns and lengths of episodes, and how numbers are distributed."""
