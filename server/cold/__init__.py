"""The cold half of the decision log: Parquet files that outlive the store's retention, written by `keepwell export` and read by the archive."""
