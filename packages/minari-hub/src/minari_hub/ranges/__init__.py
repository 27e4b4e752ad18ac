"""Byte ranges of the datasets on remotes, for who streams them."""
