"""Tables whose rows have their vectors in a column of lists: Parquet files, and Hugging Face's datasets on disk."""
