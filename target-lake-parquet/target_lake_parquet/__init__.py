"""Singer in, lake out: messages become finished Parquet snapshots, and a bookmark follows them."""
