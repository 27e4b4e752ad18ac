"""Recorders that turn steps into finished episodes and hand them to a sink."""
