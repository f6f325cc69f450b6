"""Embedding single shards of a finished dataset again, with the options that its manifest records.

Promises: a shard is embedded in a folder of its own on this machine; a file of it replaces one of the dataset only if
its SHA-256 is the manifest's. Not here: which files are wrong, and engines: this process embeds.
"""

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.errors import EmbedError, in_words
from lit_precompute.pipelines.embed.job import JobError
from lit_precompute.pipelines.embed.launch_options import LaunchOptions
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.pipelines.embed.planning.found_source import find_source, look_here
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.precompute.images.limits import MAX_PIXELS
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import Environment, Manifest, TowerCard
from lit_precompute.schemas.claims import ClaimError, differences
from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION
from lit_precompute.schemas.sharing.excerpt import COPIED_FROM
from lit_precompute.schemas.sharing.repairing import remove_scratch
from lit_precompute.schemas.sharing.transfer import transfer
from lit_precompute.schemas.sharing.wrong_files import OwnFile
from lit_precompute.schemas.storage import DatasetError, Receiver, open_folder
from lit_precompute.towers.options import ImageTowerOptions

_PRODUCER = "lit-embed run"
_RESIZES = ("published", "square")


def embed_again(
    output: str,
    wrong: Sequence[OwnFile],
    *,
    weights: str | None = None,
    source: str | None = None,
    tower: str | None = None,
    on_look: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[OwnFile, str]:
    """Embeds the shards of wrong files again; returns the files that could not be mended, and why not.

    Args:
      output: the dataset: a local path or a URL.
      wrong: its files that are wrong.
      weights: of the tower, if they are not the published ones.
      source: where the source is now, if it was moved.
      tower: what the tower is found by, if not by the name on its card: `module:name`.
      on_look: called with (files so far, all files) while this process looks into the source.
      report: called with (shards so far, all shards).

    Raises:
      JobError, ValueError: the dataset is not as a job publishes it, or its source or tower is another one.
      EmbedError: a shard could not be embedded.
    """
    check_embed_extra()
    manifest = Manifest.read(output)
    _check_producer(output, manifest)
    shards = sorted({file.shard for file in wrong if file.table})
    left = {file: f"{file.name}: is of no shard; only a copy has it (--from)" for file in wrong if not file.table}
    with tempfile.TemporaryDirectory(prefix="lit-precompute-repair-") as scratch:
        options = _options(manifest, source, tower, weights, f"{scratch}/out")
        report(0, len(shards))
        environments = _embedding(output, options, manifest, shards, on_look)
        for number, (shard, environment) in enumerate(environments, 1):
            left |= _put(options.output, output, manifest, [file for file in wrong if file.shard == shard], environment)
            report(number, len(shards))
    remove_scratch(open_folder(output))
    return left


def _embedding(
    output: str,
    options: EmbedOptions,
    manifest: Manifest,
    shards: Sequence[int],
    on_look: Callable[[int, int], None],
) -> Iterator[tuple[int, Environment]]:
    """Yields the number of each shard once its files are in the output of the options, and what it was made with."""
    from lit_precompute.pipelines.embed.workers.process_registry import PROCESS  # imports JAX
    from lit_precompute.pipelines.embed.workers.unit import EmbedUnit

    finished, scratch = JobDirectory(output), JobDirectory(options.output)
    try:
        found = look_here(find_source(options, finished), options, finished, on_look)
    except ClaimError as error:
        raise JobError(
            f"{output}: its source is not at {options.source.path} as it was when it was embedded; give it as "
            "--source, or repair the dataset --from a copy"
        ) from error
    plan = found.plan
    assert plan is not None, "was just made"
    if len(plan.units) != len(manifest.shards):
        counts = f"has {len(manifest.shards)} shards, and the source has {len(plan.units)} units"
        raise JobError(f"{output}: {counts}: it cannot be embedded again in part; embed it anew")
    _check_tower(output, manifest.tower, PROCESS.tower(options.tower).card())
    scratch.claim(options, plan)
    worker = EmbedUnit(LaunchOptions(embed=options, source=found.source, name=uuid.uuid4().hex, files=found.versions))
    worker.setup()
    for shard in shards:
        with _as_embed_errors(options.output):
            for _ in worker.process(shard):
                pass
        yield shard, PROCESS.environment()
        for table in manifest.tables:  # only one shard at a time takes room
            scratch.folder.remove_folder(table.name)


def _put(
    scratch: str, output: str, manifest: Manifest, wrong: Sequence[OwnFile], environment: Environment
) -> dict[OwnFile, str]:
    """Replaces the wrong files of a shard that was embedded again; returns those whose bytes differ, and why."""
    source, target = open_folder(scratch), open_folder(output)
    left: dict[OwnFile, str] = {}
    with Receiver() as receiver:
        for file in wrong:
            try:
                transfer(source, file.name, file.described, target, file.name, receiver)
            except DatasetError:
                why = _why_different(manifest.shards[file.shard].environment, environment)
                left[file] = f"{target.join(file.name)}: embedded again, shard {file.shard} has other bytes: {why}"
    return left


def _why_different(then: Environment, now: Environment) -> str:
    words = list(differences(then.model_dump(), now.model_dump()).values())
    if not words:
        return "the environment is the same as then: the images, or the decoder's build, are not; take it from a copy"
    made = "; ".join(word.replace(" there, ", " in the dataset, ").replace(" was requested", " here") for word in words)
    return f"{made}; embed in the same environment, or take it from a copy (--from)"


def _check_producer(output: str, manifest: Manifest) -> None:
    """Raises JobError unless a dataset is as a job of lit-embed published it."""
    producer = manifest.job.get("producer")
    if producer != _PRODUCER:
        raise JobError(f"{output}: --embed needs a dataset of {_PRODUCER!r}, got {producer!r}; repair it --from a copy")
    if COPIED_FROM in manifest.job:
        raise JobError(f"{output}: is a part of another dataset, whose shards have other numbers; repair it --from it")
    if manifest.format_version != FORMAT_VERSION:
        raise JobError(
            f"{output}: is of format version {manifest.format_version}, which is no longer written; repair it --from a "
            "copy"
        )


def _options(
    manifest: Manifest, source: str | None, tower: str | None, weights: str | None, output: str
) -> EmbedOptions:
    """Returns the options of the job that made a dataset, with another output."""
    job: Mapping[str, Any] = manifest.job
    recorded = {"format": manifest.source.kind, **manifest.source.options}
    return EmbedOptions(
        source=SourceSpec.from_recorded(source or manifest.source.path, recorded),
        tower=_tower_options(manifest.tower, tower, weights),
        output=output,
        batch_size=job["batch_size"],
        rows_per_shard=job["rows_per_shard"],
        vector_type=job["vector_type"],
        decoding=DecodingOptions(max_pixels=job.get("max_pixels", MAX_PIXELS)),
        views=job.get("views", 0),
        limit=job.get("limit"),
        limit_seed=job.get("limit_seed"),
    )


def _tower_options(card: TowerCard, name: str | None, weights: str | None) -> ImageTowerOptions:
    """Returns the options that a tower with this card was made with."""
    from lit_precompute.towers.loading import find_preprocessing  # imports JAX

    options = [
        ImageTowerOptions(
            name=name or card.name,
            weights=weights,
            resolution=card.architecture["resolution"],
            resize=resize,
            pooling=card.pooling,
            compute_type=card.architecture["compute_type"],
        )
        for resize in _RESIZES
    ]
    same = (each for each in options if find_preprocessing(each).to_json() == card.preprocessing)
    return next(same, options[0])


def _check_tower(output: str, card: TowerCard, found: TowerCard) -> None:
    """Raises JobError unless the tower here is the one that embedded."""
    if card.fingerprint != found.fingerprint:
        words = differences(card.model_dump(), found.model_dump())
        words.pop("fingerprint", None)
        more = "; ".join(word.replace(" was requested", " is here") for word in words.values())
        raise JobError(f"{output}: the tower here is another one: {more}; give its --weights")


@contextlib.contextmanager
def _as_embed_errors(output: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        cause = in_words(error, output)
        raise EmbedError(cause.sentence, is_bug=cause.is_bug) from error
