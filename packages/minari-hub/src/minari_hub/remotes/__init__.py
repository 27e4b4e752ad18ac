"""The remotes, one module for each kind."""
