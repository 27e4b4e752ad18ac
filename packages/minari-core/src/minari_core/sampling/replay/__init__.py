"""Transitions by priorities that change while one trains."""
