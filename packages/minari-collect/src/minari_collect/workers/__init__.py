"""The worker of a collection run: one task, its policy and environment."""
