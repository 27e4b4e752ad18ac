"""Files of demonstrations: HDF5 with a group for each episode."""
