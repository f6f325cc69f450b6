"""Tokenizers of Hugging Face's library `tokenizers`: every `tokenizer.json`, and BERT's `vocab.txt`."""
