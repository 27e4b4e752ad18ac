"""Buffers that hold the values of a vector environment's episodes."""
