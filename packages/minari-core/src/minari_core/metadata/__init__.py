"""What is said of a dataset besides its episodes: how it may be used, its splits, its parents."""
