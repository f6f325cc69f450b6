"""The commands: lit-embed, lit-tune, lit-eval and lit-data."""
