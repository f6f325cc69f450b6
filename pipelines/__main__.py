"""`python -m pipelines` is `lit-embed`."""

from pipelines.command_line import main

main()
