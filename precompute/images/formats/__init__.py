"""Formats: how each is opened, and how its pixels become RGB."""
