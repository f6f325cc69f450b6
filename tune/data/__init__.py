"""Batches of image embeddings and tokens."""
