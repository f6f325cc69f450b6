"""The tables that a derived dataset adds, and where their rows come from."""
