"""Executors, in which the workers of a run live: local processes, or a Ray cluster."""
