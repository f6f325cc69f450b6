"""Looking into a source's files on workers: the first phase of a job whose launcher cannot read them.

    ranges of file numbers -> LookIntoFiles -> looks and hashes of keys
    hashes, by bucket      -> FindRepeats   -> hashes that occur more than once
    all looks and repeats  -> StorePlan     -> the units to embed

Promises: files are numbered as they were listed, so that the plan does not depend on who looks first; only looks
without hashes, and 8 bytes a key, pass through shuffles; the plan is stored before anything is embedded.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.withdrawal import withdraw
from lit_precompute.pipelines.embed.errors import located
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.groups import Group, group_units
from lit_precompute.pipelines.embed.planning.plan import Plan, make_plan
from lit_precompute.precompute.sources.planning import check_repeats, repeated_hashes
from lit_precompute.precompute.sources.source import FileLook, ListedFile
from lit_precompute.schemas.storage import WORK_FOLDER, Folder

FILES_PER_ELEMENT = 8
_MAX_BUCKETS = 256
# Hashes that repeat beyond these are repeated keys for sure: no need to name them all.
_MAX_REPEATS = 100


def store_listing(folder: Folder, files: Sequence[ListedFile]) -> str:
    """Stores what the launcher has listed, for workers; returns its name. A graph has no room for 100,000 names."""
    lines = [json.dumps([file.path, file.num_bytes, file.version]) for file in files]
    data = gzip.compress("\n".join(lines).encode(), mtime=0)
    name = f"{WORK_FOLDER}/files-{hashlib.sha256(data).hexdigest()[:16]}.jsonl.gz"
    folder.write(name, data)
    return name


def read_listing(folder: Folder, name: str) -> list[ListedFile]:
    """Returns what `store_listing` has stored."""
    rows = [json.loads(line) for line in gzip.decompress(folder.read(name)).decode().split("\n")]
    return [ListedFile(path=path, num_bytes=num_bytes, version=version) for path, num_bytes, version in rows]


def count_buckets(num_files: int) -> int:
    """Returns into how many parts the hashes are dealt, each of which one worker compares."""
    return min(_MAX_BUCKETS, num_files)


class LookIntoFiles(beam.DoFn):
    """Takes (start, stop) of file numbers; yields (number, look), and (bucket, (number, hashes)) under "hashes"."""

    def __init__(self, launch: LaunchOptions, listing: str, num_files: int):
        """Takes the launch, and the name and length of the listing."""
        self._launch, self._listing, self._num_buckets = launch, listing, count_buckets(num_files)

    def setup(self) -> None:
        """Reads the listing."""
        folder = JobDirectory(self._launch.embed.output).folder
        with located("reading the list of files", self._launch.embed.output):
            self._files = read_listing(folder, self._listing)

    def process(self, element: tuple[int, int]) -> Iterator[Any]:
        """Looks into some files."""
        options, source = self._launch.embed, self._launch.source
        for number in range(*element):
            file = self._files[number]
            with located(f"looking into {file.path}", options.output):
                look = source.look(file, options.rows_per_slice)
            yield number, look.without_hashes()
            hashes = np.frombuffer(look.key_hashes, np.uint64)
            buckets = hashes % np.uint64(self._num_buckets)
            for bucket in np.unique(buckets):
                part = hashes[buckets == bucket].tobytes()
                yield TaggedOutput("hashes", (int(bucket), (number, part)))


class FindRepeats(beam.DoFn):
    """Takes (bucket, all of its hashes); yields (hash, the numbers of the files that have it) for those that repeat.

    The hashes of shards have (dataset, shard) in the place of a file's number.
    """

    def process(self, element: tuple[Any, Iterable[tuple[Any, bytes]]]) -> Iterator[tuple[bytes, list[Any]]]:
        """Compares the hashes of one bucket."""
        parts = list(element[1])
        repeated = sorted(repeated_hashes(part for _, part in parts))[:_MAX_REPEATS]
        for each in repeated:
            value = np.frombuffer(each, np.uint64)[0]
            yield each, sorted({number for number, part in parts if (np.frombuffer(part, np.uint64) == value).any()})


class StorePlan(beam.DoFn):
    """Takes all looks and repeats; stores the plan, and yields the groups of units to embed.

    A finished dataset of which failures are retried becomes an unfinished job first: the plan was needed for that.
    """

    def __init__(self, launch: LaunchOptions, listing: str):
        """Takes the launch and the name of the listing."""
        self._launch, self._listing = launch, listing

    def process(self, element: tuple[Any, Mapping[str, Iterable[Any]]]) -> Iterator[Group]:
        """Stores the plan, once for all launches on the output."""
        options, source = self._launch.embed, self._launch.source
        directory = JobDirectory(options.output)
        looks: list[FileLook] = [look for _, look in sorted(element[1]["looks"], key=lambda pair: pair[0])]
        with located(f"planning {source.path}", options.output):
            survey = source.survey(looks)
            self._check_repeats(looks, dict(element[1]["repeats"]))
            files = read_listing(directory.folder, self._listing)
            plan = make_plan(
                source,
                files,
                looks,
                survey,
                rows_per_unit=options.rows_per_shard,
                limit=options.limit,
                limit_seed=options.limit_seed,
            )
            finished = set.intersection(*(_claimed(dataset, plan) for dataset in self._launch.datasets))
        missing = [unit for unit in range(len(plan.units)) if unit not in finished]
        yield from group_units(missing, is_limited=options.max_failures is not None)

    def _check_repeats(self, looks: Sequence[FileLook], repeats: Mapping[bytes, Sequence[int]]) -> None:
        """Compares keys of equal hashes: of a billion keys, some have by chance."""
        source = self._launch.source
        numbers = sorted({number for those in repeats.values() for number in those})
        keys = (key for number in numbers for part in looks[number].slices for key in source.keys(part))
        check_repeats(keys, frozenset(repeats), source.on_repeated_keys)


def _claimed(options: EmbedOptions, plan: Plan) -> set[int]:
    """Stores the plan of a dataset; returns the units that are finished there, which only a retry finds."""
    directory = JobDirectory(options.output)
    if not options.retry_failures:
        directory.claim(options, plan)
        return set()
    if directory.is_published() and not withdraw(directory, options, plan):
        return set(range(len(plan.units)))
    directory.claim(options, plan)
    return directory.markers.numbers()
