"""`python -m schemas` is `lit-data`."""

from schemas.command_line import main

main()
