"""Signatures, checked at every call: arrays must have the shapes and types that a signature names.

All other arguments are left to the type checker, so that a test may pass a fake.
"""

import inspect
import sys
import typing

import beartype
import jaxtyping

_jaxtyped = jaxtyping.jaxtyped


def check(function):
    """Returns the function with checks of the arrays among its arguments and results."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _names_arrays(hint)}
    if not hints:
        return function
    function.__annotations__ = hints
    return beartype.beartype(function)


def _where_arrays_are_named(*, typechecker):
    """Like `jaxtyping.jaxtyped`, but what names no array stays as it is: the wrapper takes longer than most calls."""
    wrap = _jaxtyped(typechecker=typechecker)
    return lambda wrapped: wrap(wrapped) if any(map(_names_arrays, _hints(wrapped))) else wrapped


def _hints(wrapped):
    """Yields the hints of a function, or of a class's fields, but for those that only a type checker understands."""
    names = vars(sys.modules[wrapped.__module__])
    for hint in inspect.get_annotations(wrapped).values():
        try:
            yield eval(hint, dict(names)) if isinstance(hint, str) else hint
        except (NameError, AttributeError):
            assert not _arrays_in_words(hint), f"{wrapped.__qualname__}: {hint} cannot be checked"


def _arrays_in_words(hint: str) -> bool:
    return any(
        isinstance(kind, type) and issubclass(kind, jaxtyping.AbstractDtype) and f"{name}[" in hint
        for name, kind in vars(jaxtyping).items()
    )


def _names_arrays(hint) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(_names_arrays(part) for part in typing.get_args(hint))


def check_modules(*packages: str) -> None:
    """Checks the signatures of all modules of these packages that are imported from now on, in this process."""
    jaxtyping.jaxtyped = _where_arrays_are_named  # the import hook decorates everything with it
    jaxtyping.install_import_hook(packages, f"{__name__}.check")
