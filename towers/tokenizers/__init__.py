"""Tokenizers: texts to rows of token ids."""
