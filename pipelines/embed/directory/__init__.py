"""The output of a job: what is stored there while it is unfinished."""
