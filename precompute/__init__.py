"""Images (decoding, preprocessing), their sources, and the embedding of one unit."""
