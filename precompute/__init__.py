"""Image towers, their weights, preprocessing, sources of pictures, and the embedding of one unit."""
