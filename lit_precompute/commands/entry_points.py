"""What the installed commands call: those that compute begin again with huge pages before they import anything."""

import importlib
import sys

from lit_precompute.commands.huge_pages import restart_with_huge_pages

_INTERRUPTED = 130


def embed() -> None:
    """Runs `lit-embed`."""
    restart_with_huge_pages()
    run("embed")


def tune() -> None:
    """Runs `lit-tune`."""
    restart_with_huge_pages()
    run("tune")


def evaluate() -> None:
    """Runs `lit-eval`."""
    restart_with_huge_pages()
    run("evaluate")


def data() -> None:
    """Runs `lit-data`."""
    run("data")


def run(module: str) -> None:
    """Runs the command of a module of `lit_precompute.commands`, whose imports take a second or two."""
    try:
        main = importlib.import_module(f"lit_precompute.commands.{module}").main
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(_INTERRUPTED)
    main()
