"""Recorded episodes run again in their environment: step by step, and as frames."""
