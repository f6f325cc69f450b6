"""The demo: the public commands, end to end, on emoji drawn from a font and published weights."""
