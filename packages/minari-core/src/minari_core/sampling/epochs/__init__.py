"""Epochs of batches: what each rank reads, in which order, and where it goes on."""
