"""Spaces and environment specs as JSON, and the recovery of an environment from its spec."""
