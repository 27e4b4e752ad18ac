"""Windows of several steps of an episode: consecutive ones, and ranges for each column."""
