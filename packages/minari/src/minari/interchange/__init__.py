"""Datasets in the layouts of other libraries: recognised, read and written."""
