"""Checks of the meaning of recorded data, as verification checks its bytes."""
