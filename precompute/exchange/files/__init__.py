"""Readers and writers of the file formats that layouts are made of; none loads a pickle."""
