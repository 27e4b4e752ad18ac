"""The steps of a dataset or view, where they lie, and positions among them."""
