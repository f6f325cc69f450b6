"""Whether some towers have embedded a source already: datasets in a catalog are compared before any work.

Promises: nothing is looked into but the source's listing and the catalog's manifests. A tower is compared by its
fingerprint where that is known without its weights, as of an output that was begun; else by the options that decide it:
name, pooling, resolution, compute type and preprocessing. Not compared then: the weights.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.source import ListedFile, Source
from lit_precompute.schemas import TowerCard
from lit_precompute.schemas.sharing.catalog import COMPLETE, Entry, Found, find_datasets
from lit_precompute.schemas.storage import absolute
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.wording import counted, os_error_in_words
from lit_precompute.towers.options import ImageTowerOptions

# It decides what the units are, and no row.
_NOT_OF_ROWS = ("whole_tars",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """A dataset of a tower and a source that are about to be embedded.

    Attributes:
      tower: as it was asked for.
      entry: the dataset.
      by_fingerprint: whether the towers' fingerprints are equal; else their weights were not compared.
    """

    tower: str
    entry: Entry
    by_fingerprint: bool

    def in_words(self) -> str:
        """Returns where the dataset is, and what is in it."""
        entry, options = self.entry, self.entry.options
        how = [str(options["vector_type"])] if "vector_type" in options else []
        how += [
            f"{name.replace('_', ' ')} {options[name]}" for name in ("limit", "limit_seed", "views") if name in options
        ]
        rows = [counted(entry.num_rows, "row")] if entry.num_rows is not None else []
        state = [] if entry.state == COMPLETE else [entry.reason]
        known = "the fingerprint is the same" if self.by_fingerprint else "the weights were not compared"
        card = entry.cards.get(EMBEDDINGS)
        prints = [f"fingerprint {card.fingerprint}, {known}"] if card else []
        return f"{entry.path} has {self.tower} of {entry.source['path']} ({', '.join([*rows, *how, *state, *prints])})"


def find_known(
    catalog: str, options: Sequence[EmbedOptions], report: Callable[[int, int], None] = lambda folders, datasets: None
) -> tuple[Found, list[Known]]:
    """Returns what is in a catalog, and those of its datasets that the options ask for again.

    Args:
      catalog: a folder with datasets in it: a path or a URL.
      options: what is to be embedded, for each tower.
      report: called now and then with (folders looked into, datasets found).

    Raises:
      ValueError, OSError: the source or a tower cannot be used.
      ValueError: the catalog cannot be listed.
    """
    try:
        found = find_datasets(catalog, report=report)
    except OSError as error:
        raise ValueError(f"--catalog {catalog}: {os_error_in_words(error)}") from error
    source = make_source(options[0].source)
    files = source.files()
    outputs = {absolute(each.output) for each in options}
    others = [each for each in found.entries if each.path not in outputs and _is_of_source(each, source, files)]
    return found, [known for each in options for entry in others if (known := _compare(each, entry))]


def _is_of_source(entry: Entry, source: Source, files: Sequence[ListedFile]) -> bool:
    """Returns whether a dataset is of this source: read in the same way, and the same files, wherever they are."""
    recorded = entry.source
    options: Any = recorded.get("options", {})
    same = (options.get(name) == value for name, value in source.options.items() if name not in _NOT_OF_ROWS)
    if recorded.get("kind") != source.kind or not all(same):
        return False
    if entry.state != COMPLETE:
        return recorded.get("path") == source.path
    sizes = [file.num_bytes for file in files]
    if recorded.get("num_files") != len(sizes):
        return False
    if None in sizes:
        return recorded.get("path") == source.path
    return recorded.get("num_bytes") == sum(size or 0 for size in sizes)


def _compare(options: EmbedOptions, entry: Entry) -> Known | None:
    """Returns a dataset of the source if it is of the tower, and has all rows that are asked for."""
    card = entry.cards.get(EMBEDDINGS)
    if card is None:  # of an unfinished job that has not loaded its tower
        return None
    limit = entry.options.get("limit")
    if limit is not None and (options.limit is None or options.limit > limit):
        return None
    drawn = entry.options.get("limit_seed")
    if limit is not None and (drawn != options.limit_seed or (drawn is not None and options.limit != limit)):
        return None  # it has other rows
    if "copied_from" in entry.options:  # a part
        return None
    fingerprint = ((JobDirectory(absolute(options.output)).noted() or {}).get("tower") or {}).get("fingerprint")
    is_same = card.fingerprint == fingerprint if fingerprint else _is_like(card, options.tower)
    return Known(tower=options.tower.name, entry=entry, by_fingerprint=bool(fingerprint)) if is_same else None


def _is_like(card: TowerCard, options: ImageTowerOptions) -> bool:
    """Returns whether a card is of a tower with these options, whatever its weights."""
    from lit_precompute.towers.loading import configured  # imports JAX

    name, entry = configured(options)
    config = entry.config
    found = (card.name, card.pooling, card.architecture.get("resolution"), card.architecture.get("compute_type"))
    wanted = (name, config.pooling, config.resolution, config.compute_type)
    return found == wanted and card.preprocessing == entry.preprocessing.to_json()
