"""A worker that shares nothing with its launcher but a network: no disk, no environment, no working directory."""
