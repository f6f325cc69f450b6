"""The embedding job: what launches it, and its graph."""
