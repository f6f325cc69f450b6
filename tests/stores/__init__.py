"""Stores on loopback for tests: real servers of GCS's and S3's interfaces, in processes of their own."""
