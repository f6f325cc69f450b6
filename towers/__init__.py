"""Image and text towers, tokenizers, weights and declared preprocessing."""
