"""Flat files: the steps of all episodes, one after another, in one array a column."""
