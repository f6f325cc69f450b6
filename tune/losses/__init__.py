"""Contrastive losses and the gradient cache."""
