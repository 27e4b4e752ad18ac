"""A manifest and its shards, which together are a columnar dataset."""
