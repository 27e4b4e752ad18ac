"""The public Minari's `arrow` and `parquet` formats: one file per episode."""
