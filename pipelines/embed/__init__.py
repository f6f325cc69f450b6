"""The embedding job: its graph, the work of one unit, and the directory that a job can stop and go on in."""
