"""The interfaces between a dataset and where its bytes are stored."""
