"""Finding rows: by keys, labels, texts, places and chance."""
