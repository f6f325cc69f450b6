"""The extra `embed`: what only embedding needs, and the error where it is not installed."""

import importlib.util

EMBED_MODULES = ("apache_beam", "tensorflow")


def needs_embed_extra(module: str) -> str:
    """Returns what to do about a module of the extra that is not installed."""
    return f"{module} is not installed; it comes with the extra `embed`: pip install 'lit-precompute[embed]'"


def check_embed_extra() -> None:
    """Raises unless everything that embedding needs is installed; imports nothing.

    Raises:
      ModuleNotFoundError: a module is missing; says which extra brings it.
    """
    for module in EMBED_MODULES:
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(needs_embed_extra(module), name=module)
