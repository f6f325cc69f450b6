"""A frozen text tower whose embeddings a dataset stores: only a head over them is trained."""
