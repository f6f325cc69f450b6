"""Weights files read into named NumPy arrays, without ever running what a file holds."""
