"""One shard: an immutable HDF5 file of flat, time-major columns."""
