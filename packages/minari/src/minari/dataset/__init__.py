"""Datasets under the module paths of the public Minari; re-exports only."""
