"""Pictures: encoded bytes to what a tower sees, as each tower's authors did it."""
