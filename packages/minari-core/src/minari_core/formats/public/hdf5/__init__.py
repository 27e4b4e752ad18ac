"""The public Minari's `hdf5` format: one HDF5 group per episode."""
