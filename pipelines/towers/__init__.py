"""lit-embed towers: which image towers have names, and what is known of each."""
