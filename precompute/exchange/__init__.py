"""Datasets of embeddings in other projects' layouts: reading them into a dataset, and writing a dataset as one."""
