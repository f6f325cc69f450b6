"""Probing: whether a dataset is of the tower that it is said to be of."""
