"""Signatures, checked at every call: arrays must have the shapes and types that a signature names.

All other arguments are left to the type checker, so that a test may pass a fake.
"""

import typing

import beartype
import jaxtyping


def check(function):
    """Returns the function with checks of the arrays among its arguments and results."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _names_arrays(hint)}
    if not hints:
        return function
    function.__annotations__ = hints
    return beartype.beartype(function)


def _names_arrays(hint) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(_names_arrays(part) for part in typing.get_args(hint))


def check_modules(*packages: str) -> None:
    """Checks the signatures of all modules of these packages that are imported from now on, in this process."""
    jaxtyping.install_import_hook(packages, f"{__name__}.check")
