"""`python -m tune.evaluation` is `lit-eval`."""

from tune.evaluation.command_line import main

main()
