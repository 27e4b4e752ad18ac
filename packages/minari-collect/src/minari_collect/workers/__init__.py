"""What runs in a worker of a collection run: one task, its policy and environment."""
