"""Find what is wrong in a dataset's folder."""
