"""Columnar files as sources: Parquet, Arrow, Hugging Face datasets on disk, img2dataset's Parquet and files."""
