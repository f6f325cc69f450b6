"""Tar files in webdataset's way."""
