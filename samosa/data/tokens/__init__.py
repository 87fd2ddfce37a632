"""Text into shards: parquet as nanochat lays it, shuffled, and beside it the same documents as token ids to map."""
