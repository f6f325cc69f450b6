"""Optimisers as optax chains."""
