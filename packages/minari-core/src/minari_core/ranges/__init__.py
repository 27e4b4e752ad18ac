"""Byte ranges of remote datasets: where they come from, and the cache on disk that they fill."""
