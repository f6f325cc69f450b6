"""The encoders of T5, T5 1.1, mT5 and umT5, with transformers' names."""
