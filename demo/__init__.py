"""The demo: emoji drawn from a font and published weights, taken along the whole road by the public commands."""
