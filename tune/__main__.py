"""`python -m tune` is `lit-tune`."""

from tune.command_line import main

main()
