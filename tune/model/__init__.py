"""The tuned model and its image side."""
