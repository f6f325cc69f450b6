"""What the installed commands call: those that compute are restarted with huge pages before they import anything."""

import importlib

from lit_precompute.commands.huge_pages import restart_with_huge_pages


def embed() -> None:
    """Runs `lit-embed`."""
    run("embed")


def tune() -> None:
    """Runs `lit-tune`."""
    run("tune")


def evaluate() -> None:
    """Runs `lit-eval`."""
    run("evaluate")


def run(module: str) -> None:
    """Runs the command of a module of `lit_precompute.commands`, which is imported only now."""
    if module != "data":
        restart_with_huge_pages()
    importlib.import_module(f"lit_precompute.commands.{module}").main()
