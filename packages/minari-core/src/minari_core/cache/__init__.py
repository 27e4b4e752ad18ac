"""The folder of what can be made again: entries of several kinds, bounded together."""
