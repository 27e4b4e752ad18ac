"""The seams between a dataset and where its bytes lie."""
