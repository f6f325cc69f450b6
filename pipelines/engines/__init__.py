"""Where the embedding job runs: engines, what their workers install, and jobs that run on a service."""
