"""Images: from encoded bytes to a tower's input, as each tower's authors did it."""
