"""Tables of images and texts: CSV, TSV and JSON lines."""
