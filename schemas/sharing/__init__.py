"""Sharing datasets: copies, catalogs, selections, and one dataset made of several."""
