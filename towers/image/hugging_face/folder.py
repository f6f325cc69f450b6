"""The entry of a tower that no one has registered: a folder or repository whose `config.json` names a known family.

timm's `config.json` names an architecture and says itself how images are prepared; transformers' has
`preprocessor_config.json` beside it.

Promises: weights, network and preprocessing are those of that one folder; what it leaves out is an error.
"""

from __future__ import annotations

import functools
import pathlib
import re

from lit_precompute.schemas.json_files import read_json_object
from lit_precompute.schemas.storage import in_words
from lit_precompute.towers.family import Entry
from lit_precompute.towers.image.hugging_face import timm
from lit_precompute.towers.image.hugging_face.networks import network_of
from lit_precompute.towers.image.hugging_face.processor import preprocessing_of
from lit_precompute.towers.image.hugging_face.timm import FindEntries
from lit_precompute.towers.preprocessing import Preprocessing
from lit_precompute.towers.weights.errors import WeightsError
from lit_precompute.towers.weights.finding import find_weights
from lit_precompute.towers.weights.folders import refuse_adapter
from lit_precompute.towers.weights.hub import SCHEME

CONFIG_NAME, PROCESSOR_NAME = "config.json", "preprocessor_config.json"
# What transformers 5 writes in its place where images and texts have one processor, as CLIP's and SigLIP's.
BOTH_NAME = "processor_config.json"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w.%-]+)?")
_ADVICE = "copy it again from where it came from"


def place_of(name: str) -> str | None:
    """Returns the folder that a name may stand for: on disk, in a store, or on the hub; None for any other name."""
    if "://" in name or pathlib.Path(name).expanduser().is_dir():
        return name.rstrip("/")
    return f"{SCHEME}{name}" if _REPOSITORY.fullmatch(name) else None


@functools.lru_cache(maxsize=16)
def read_folder(place: str, find_entries: FindEntries) -> Entry:
    """Returns the entry of the tower in a folder.

    Args:
      place: see `place_of`.
      find_entries: see `timm.FindEntries`.

    Raises:
      WeightsError: `config.json` or `preprocessor_config.json` cannot be had.
      ValueError: one describes what is not known here; the message names the field.
    """
    refuse_adapter(pathlib.Path(place).expanduser())
    config = _find(place, CONFIG_NAME, "what it is")
    content = read_json_object(config, _ADVICE)
    if timm.is_timms(content):
        return timm.entry_of(content, str(config), place, find_entries)
    preprocessing = _preprocessing(place)
    network = network_of(content, str(config), resolution=preprocessing.size)
    return Entry(family=network.family, config=network.config, preprocessing=preprocessing, weights=place)


def _preprocessing(place: str) -> Preprocessing:
    """Reads the image processor's own file or, without one, that of the processor of images and texts, which holds it.

    Raises:
      WeightsError: there is neither, or both are on this machine and differ: transformers 5 takes the latter, 4 the
        former.
    """
    try:
        own = _find(place, PROCESSOR_NAME, "how its images are prepared")
    except WeightsError:
        try:
            held = _held_in(_find(place, BOTH_NAME, "how its images are prepared"))
        except WeightsError:
            held = None
        if held is None:
            raise
        return held
    found = preprocessing_of(read_json_object(own, _ADVICE), str(own))
    both = own.with_name(BOTH_NAME)
    if both.is_file() and _held_in(both) not in (found, None):
        raise WeightsError(
            f"{own} and {both.name}, beside it, prepare images in different ways; remove the one that the tower was "
            "not trained with"
        )
    return found


def _held_in(both: pathlib.Path) -> Preprocessing | None:
    """Returns the preprocessing in the file of a processor of images and texts; None if it holds none."""
    processor = read_json_object(both, _ADVICE).get("image_processor")
    return preprocessing_of(processor, f"{both}: image_processor") if isinstance(processor, dict) else None


def _find(place: str, name: str, what: str) -> pathlib.Path:
    try:
        return pathlib.Path(find_weights(f"{place}/{name}"))
    except WeightsError as error:
        why = str(error) if error.__cause__ is None else in_words(error.__cause__)
        raise WeightsError(
            f"{place}: {name} says {what}, and cannot be had ({why}); give a tower's folder, with its weights beside it"
        ) from error
