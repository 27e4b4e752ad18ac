"""Checks of what recorded data means, as verifying is of its bytes."""
