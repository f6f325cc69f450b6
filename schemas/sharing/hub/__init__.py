"""Publishing a dataset on the Hugging Face hub: its files, a Parquet twin for the hub's viewer, a dataset card."""
