"""The card of a dataset: what a remote that shows pages says of the datasets that it has."""
