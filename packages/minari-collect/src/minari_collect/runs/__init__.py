"""Collection runs: `collect_dataset` from its arguments to the published dataset."""
