"""The image towers that have names.

Promises: a name stands for one `Entry`, added by `register`; the families of `towers.image` are registered when this
module is imported. Aliases, and a repository's address on Hugging Face's hub, resolve to the same entry and its one
name, so that a dataset is the same whichever name was used. A folder or repository that is not registered is a tower
if its `config.json` names a known family.

Not here: loading weights (`loading`), the networks (`image`), and text towers (`text`).
"""

from __future__ import annotations

import difflib
import importlib

from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.aimv2 import published as aimv2
from lit_precompute.towers.image.bit import published as bit
from lit_precompute.towers.image.convnext import published as convnext
from lit_precompute.towers.image.dinov3 import published as dinov3
from lit_precompute.towers.image.efficientnet import published as efficientnet
from lit_precompute.towers.image.eva import published as eva
from lit_precompute.towers.image.eva import published_perception
from lit_precompute.towers.image.hugging_face.folder import place_of, read_folder
from lit_precompute.towers.image.mixer import published as mixer
from lit_precompute.towers.image.vit import published as vit
from lit_precompute.towers.image.vit import published_contrastive, timm
from lit_precompute.towers.weights.errors import WeightsError

_PUBLISHED = (
    aimv2,
    bit,
    convnext,
    dinov3,
    efficientnet,
    eva,
    published_perception,
    mixer,
    vit,
    published_contrastive,
    timm,
)
_ENTRIES: dict[str, Entry] = {}
_ALIASES: dict[str, str] = {}
_OWN = "`lit-embed towers` lists them; one of your own is named with its module, my_towers:NAME"
_ON_PATH = "its folder must be on Python's path"
# How Hugging Face's own libraries, timm and open_clip spell a repository.
_HUB_PREFIXES = ("hf://", "hf-hub:", "hf_hub:", "https://huggingface.co/")


def register(name: str, entry: Entry) -> None:
    """Gives an image tower a name; for users' own towers too.

    Raises:
      ValueError: the name is taken.
    """
    _refuse_taken(name)
    _ENTRIES[name] = entry


def register_alias(alias: str, name: str) -> None:
    """Gives an image tower another name, for the same weights with the same preprocessing.

    Raises:
      ValueError: the alias is taken, or no tower has the name `name`.
    """
    _refuse_taken(alias)
    if name not in _ENTRIES:
        raise ValueError(f"alias {alias!r}: there is no tower {name!r}; register it first")
    _ALIASES[alias] = name


def _refuse_taken(name: str) -> None:
    if name in _ENTRIES or name in _ALIASES:
        raise ValueError(f"tower {name!r} is already registered; choose another name")


def tower_names() -> list[str]:
    """Returns the names of all registered image towers, sorted; aliases are left out."""
    return sorted(_ENTRIES)


def find_tower(name: str) -> Entry:
    """Returns the entry of a name; see `resolve_tower`."""
    return resolve_tower(name)[1]


def resolve_tower(name: str) -> tuple[str, Entry]:
    """Returns the registered name of an image tower, and its entry.

    Args:
      name: a name or an alias; a repository's name may follow `hf://`; "module:name" first imports a user's module,
        which registers the tower; or a folder that `save_pretrained` wrote, on disk, in a store or on the hub.

    Raises:
      ValueError: no tower has this name (similar names are listed), the module does not exist, or the folder describes
        what is not known here.
      WeightsError: the folder has no `config.json` or `preprocessor_config.json`, or they cannot be had.
    """
    module, name = _split(name)
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            how = f"write {module.removesuffix('.py')}:{name}" if module.endswith(".py") else _ON_PATH
            raise ValueError(f"tower {module}:{name}: {error}; {how}") from error
    name = _ALIASES.get(name, name)
    if name in _ENTRIES:
        return name, _ENTRIES[name]
    if not module and (place := folder_of(name)) is not None:
        return _described(name, place)
    if name.startswith((".", "/", "~")):
        raise ValueError(f"tower {name!r}: there is no such folder; give one with a tower's weights and config.json")
    known = {**_ALIASES, **dict.fromkeys(_ENTRIES)}
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean one of {', '.join(near)}?" if near else _OWN
    raise ValueError(f"unknown tower {name!r}; {hint}")


def _described(name: str, place: str) -> tuple[str, Entry]:
    """Returns the tower that a folder or repository describes."""
    try:
        return name, read_folder(place, _of_timms_architecture)
    except WeightsError as error:
        near = difflib.get_close_matches(name, {**_ALIASES, **dict.fromkeys(_ENTRIES)}, n=5, cutoff=0.5)
        hint = f"; or did you mean one of {', '.join(near)}?" if near else ""
        raise WeightsError(f"tower {name!r} is not registered, and {error}{hint}") from error


def _of_timms_architecture(architecture: str) -> list[Entry]:
    """Returns the entries of timm's towers of an architecture, one for each tag."""
    return [_ENTRIES[name] for name in tower_names() if name.startswith(f"timm/{architecture}.")]


def module_of(name: str) -> str:
    """Returns the user's module in the tower's name `module:name`; "" if there is none. Imports nothing."""
    return _split(name)[0]


def folder_of(name: str) -> str | None:
    """Returns the folder, on this machine or elsewhere, that an unregistered name stands for; None for other names."""
    module, name = _split(name)
    return None if module or name in _ENTRIES or name in _ALIASES else place_of(name)


def _split(name: str) -> tuple[str, str]:
    for prefix in _HUB_PREFIXES:
        name = name.removeprefix(prefix)
    if "://" in name:
        return "", name.rstrip("/")
    module, _, name = name.rstrip("/").rpartition(":")
    return module, name


for _module in _PUBLISHED:
    for _name, _entry in _module.ENTRIES.items():
        register(_name, _entry)
    for _alias, _name in getattr(_module, "ALIASES", {}).items():
        register_alias(_alias, _name)
