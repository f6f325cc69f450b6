"""Sharing embedding datasets: what needs only the format."""
