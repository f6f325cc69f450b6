"""The datasets below a folder, in any store: which towers embedded what, and what is there of it.

Promises: a folder costs one request for each thousand names in it, and nothing below a dataset's own folder is listed;
a dataset that cannot be read is listed with the reason, and ends nothing. Folders deeper than asked for are counted.
"""

import concurrent.futures
import dataclasses
import fnmatch
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.json_files import parse_json_object
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.destination import COPY, NOTE_NAME
from lit_precompute.schemas.storage import MANIFEST_NAME, WORK_FOLDER, DatasetError, Folder, is_url, open_folder
from lit_precompute.schemas.storage.paging import folder_pages
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.tower_card import TowerCard

MAX_DEPTH = 4
_THREADS = 16
COMPLETE, UNFINISHED, UNREADABLE = "complete", "unfinished", "unreadable"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """A dataset, or what may be one.

    Attributes:
      path: path or URL.
      state: "complete", "unfinished" or "unreadable".
      reason: why it is not complete; "" if it is.
      cards: the towers' cards by table of embeddings, as far as they are known.
      source: `kind`, `path` and `options` of what was embedded, as far as they are known; of a complete dataset
        also `num_files` and `num_bytes`.
      options: those of the job.
      num_rows: rows of every aligned table.
      num_failures: rows that could not be embedded.
      num_shards: shards.
      tables: bytes by table.
      order: `source` or `shuffled`.
      digest: of the manifest.
      references: where other datasets are that some of the tables are in.
    """

    path: str
    state: str
    reason: str = ""
    cards: Mapping[str, TowerCard] = dataclasses.field(default_factory=dict)
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    num_rows: int | None = None
    num_failures: int | None = None
    num_shards: int | None = None
    tables: Mapping[str, int] = dataclasses.field(default_factory=dict)
    order: str = ""
    digest: str = ""
    references: Sequence[str] = ()

    @property
    def num_bytes(self) -> int:
        """Size of all tables."""
        return sum(self.tables.values())

    @property
    def towers(self) -> dict[str, str]:
        """The towers' names by table of embeddings."""
        return {table: card.name for table, card in self.cards.items()}

    @property
    def fingerprints(self) -> dict[str, str]:
        """The towers' fingerprints by table of embeddings."""
        return {table: card.fingerprint for table, card in self.cards.items()}

    @property
    def model_identities(self) -> dict[str, str | None]:
        """By table of embeddings; None where the card does not describe the network."""
        return {table: card.model_identity for table, card in self.cards.items()}

    def to_json(self) -> dict[str, Any]:
        """Returns all that a catalog shows."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name != "cards"}
        derived = ("towers", "fingerprints", "model_identities", "num_bytes")
        return {**fields, **{name: getattr(self, name) for name in derived}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which datasets to list; by default all. What is unreadable is listed whatever is wanted.

    Attributes:
      tower: a tower's name, or a pattern with *.
      source: the path of what was embedded, or a pattern with *.
      model_identity: it, or how it begins.
      fingerprint: it, or how it begins.
    """

    tower: str | None = None
    source: str | None = None
    model_identity: str | None = None
    fingerprint: str | None = None

    def fits(self, entry: Entry) -> bool:
        """Returns whether a dataset is wanted."""
        if entry.state == UNREADABLE:
            return True
        path = entry.source.get("path")
        return (
            _any_fits(self.tower, entry.towers.values(), _is_like)
            and _any_fits(self.source, [path] if path else [], _is_like)
            and _any_fits(self.model_identity, filter(None, entry.model_identities.values()), str.startswith)
            and _any_fits(self.fingerprint, entry.fingerprints.values(), str.startswith)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What is below a folder.

    Attributes:
      root: the folder.
      entries: the datasets, by path.
      num_folders: folders that were looked into.
      num_deeper: folders that were not, because they are deeper than asked for.
    """

    root: str
    entries: Sequence[Entry]
    num_folders: int
    num_deeper: int


def find_datasets(
    prefix: str | os.PathLike[str],
    *,
    max_depth: int = MAX_DEPTH,
    report: Callable[[int, int], None] = lambda num_folders, num_datasets: None,
) -> Found:
    """Returns the datasets at and below a folder, complete or not.

    Args:
      prefix: a local path or a URL.
      max_depth: how deep to look: 0 is the folder itself, 1 the folders in it.
      report: called now and then with (folders looked into, datasets found).

    Raises:
      OSError: the folder cannot be listed.
    """
    root = dataset_folder(prefix)
    entries: list[Entry] = []
    level, seen, num_folders, num_deeper = [root.path], set[str](), 0, 0
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        for depth in range(max_depth + 1):
            below: list[str] = []
            unseen = [path for path in level if _is_new(path, seen)]
            for entry, folders in threads.map(_looker(root.path), unseen):
                num_folders += 1
                entries += [] if entry is None else [entry]
                below += folders
                report(num_folders, len(entries))
            level = below
            num_deeper = len(below) if depth == max_depth else 0
    entries.sort(key=lambda entry: entry.path)
    return Found(root=root.path, entries=entries, num_folders=num_folders, num_deeper=num_deeper)


def _looker(root: str) -> Callable[[str], tuple[Entry | None, list[str]]]:
    def look(path: str) -> tuple[Entry | None, list[str]]:
        """Returns the dataset at a path, if there is one, else the folders in it."""
        folders: list[str] = []
        try:
            for page in folder_pages(path):
                if MANIFEST_NAME in page.files or WORK_FOLDER in page.folders:
                    return _describe(open_folder(path), has_manifest=MANIFEST_NAME in page.files), []
                folders += page.folders
        except (OSError, DatasetError) as error:
            if path == root:
                raise
            return Entry(path=path, state=UNREADABLE, reason=str(error)), []
        join = open_folder(path).join
        return None, [join(name) for name in sorted(folders) if not name.startswith(".")]

    return look


def _describe(folder: Folder, *, has_manifest: bool) -> Entry:
    try:
        if has_manifest or folder.exists(MANIFEST_NAME):
            return _complete(folder.path, Manifest.read(folder))
        return _unfinished(folder)
    except (OSError, ValueError) as error:
        return Entry(path=folder.path, state=UNREADABLE, reason=str(error))


def _complete(path: str, manifest: Manifest) -> Entry:
    source = manifest.source
    return Entry(
        path=path,
        state=COMPLETE,
        cards=dict(manifest.towers),
        source={
            **{name: getattr(source, name) for name in ("kind", "path", "num_files", "num_bytes")},
            "options": dict(source.options),
        },
        options=dict(manifest.job),
        num_rows=manifest.num_rows,
        num_failures=manifest.num_failures,
        num_shards=len(manifest.shards),
        tables={table.name: manifest.shards.table_bytes(table.name) for table in manifest.tables},
        order=manifest.order,
        digest=manifest.digest,
        references=[reference.path for reference in manifest.references],
    )


def _unfinished(folder: Folder) -> Entry:
    names = (NOTE_NAME, f"{WORK_FOLDER}/tower.json")
    note, tower = (
        {} if data is None else parse_json_object(data, folder.join(name), "it may be removed")
        for name, data in zip(names, folder.read_many(names), strict=True)
    )
    if COPY in note:
        copied = _object(note[COPY])
        reason = f"an unfinished copy of the dataset {copied.get('digest')}"
        return Entry(path=folder.path, state=UNFINISHED, reason=reason)
    return Entry(
        path=folder.path,
        state=UNFINISHED,
        reason="an unfinished job",
        cards={EMBEDDINGS: TowerCard.model_validate(tower)} if tower else {},
        source=_object(note.get("source")),
        options=_object(note.get("options")),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_new(path: str, seen: set[str]) -> bool:
    """Returns whether a folder was not looked into, maybe by a link to it; remembers it."""
    real = path if is_url(path) else os.path.realpath(path)
    is_new = real not in seen
    seen.add(real)
    return is_new


def _any_fits(wanted: str | None, values: Any, fits: Callable[[str, str], bool]) -> bool:
    return wanted is None or any(fits(value, wanted) for value in values)


def _is_like(value: str, wanted: str) -> bool:
    return value == wanted or fnmatch.fnmatchcase(value, wanted)
