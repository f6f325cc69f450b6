"""Towers that a Hugging Face folder describes: `config.json` the network, `preprocessor_config.json` the images."""
