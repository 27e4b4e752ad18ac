"""Steps and episodes as tables: Arrow, data frames, Parquet files, and back."""
