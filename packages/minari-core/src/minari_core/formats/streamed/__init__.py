"""Columnar datasets whose shards are fetched in ranges of bytes while they are read."""
