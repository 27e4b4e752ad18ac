"""Buffers that hold the values of one environment's episodes until a shard is written."""
