"""Beam jobs and their command lines."""
