"""Rewriting a dataset in random order: scattering rows by where they go, then gathering each shard's."""
