"""The wrappers that record an environment while it is stepped."""
