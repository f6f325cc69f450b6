"""The towers that have names.

Promises: a name is one `Entry`, given by `register`; the families here register theirs when this module is imported.
Not here: loading weights (`loading`), and the networks themselves (`families`).
"""

from __future__ import annotations

import difflib
import importlib

from precompute.families import efficientnet
from precompute.families.bit import published as bit
from precompute.families.vit import published as vit
from precompute.family import Entry

_FAMILIES = (bit, efficientnet, vit)
_ENTRIES: dict[str, Entry] = {}


def register(name: str, entry: Entry) -> None:
    """Gives a tower a name; also for packages of others.

    Raises:
      ValueError: the name is taken.
    """
    if name in _ENTRIES:
        raise ValueError(f"tower {name!r} is registered already; choose another name")
    _ENTRIES[name] = entry


def tower_names() -> list[str]:
    """Returns the names that `load_tower` knows, sorted."""
    return sorted(_ENTRIES)


def find_tower(name: str) -> Entry:
    """Returns the entry of a name; "module:name" imports a module of the caller's own first, which registers it.

    Raises:
      ValueError: no tower has this name (near ones are listed), or there is no such module.
    """
    module, _, name = name.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise ValueError(f"tower {module}:{name}: {error}; its folder must be on Python's path") from error
    if name in _ENTRIES:
        return _ENTRIES[name]
    near = difflib.get_close_matches(name, _ENTRIES, n=5, cutoff=0.5) or tower_names()
    raise ValueError(f"unknown tower {name!r}; did you mean one of {', '.join(near)}?")


for _family in _FAMILIES:
    for _name, _entry in _family.ENTRIES.items():
        register(_name, _entry)
