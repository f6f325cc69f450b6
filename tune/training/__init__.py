"""Training: steps, metrics, checkpoints, and the run directory."""
