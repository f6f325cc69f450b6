"""Beam jobs."""
