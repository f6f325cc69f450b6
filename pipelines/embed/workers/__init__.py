"""What workers run: the embedding of one unit, and the publishing of the dataset."""
