"""The images of workers: linted, compared with the locked versions, and built as far as that goes without Docker."""
