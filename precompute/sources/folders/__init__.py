"""Folders of images: with texts beside them, or with a folder for each class."""
