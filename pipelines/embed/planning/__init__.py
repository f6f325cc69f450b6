"""What a job finds in its source before anything is embedded: files, units, and whether they have changed."""
