"""Several datasets as one that is sampled, with weights and columns by other names."""
