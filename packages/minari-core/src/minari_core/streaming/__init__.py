"""Datasets that are read from a remote while they are used."""
