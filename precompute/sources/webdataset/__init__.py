"""Tar files in the webdataset layout."""
