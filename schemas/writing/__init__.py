"""Writing datasets: tables, shards, and the manifest at the end."""
