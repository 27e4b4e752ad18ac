"""Datasets of RLDS, as TensorFlow Datasets stores them, without TensorFlow."""
