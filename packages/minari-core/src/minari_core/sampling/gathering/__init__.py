"""Gather sampled rows from the columns of one or many shards."""
