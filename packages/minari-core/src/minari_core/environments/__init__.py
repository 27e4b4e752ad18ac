"""Spaces and environment specs as plain data, and the way back to an environment."""
