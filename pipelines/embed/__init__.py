"""The embedding job: its graph, the work of one unit, and the output directory from which a job resumes."""
