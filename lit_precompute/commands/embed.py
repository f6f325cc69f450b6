"""lit-embed: runs a locked image tower over pictures and texts, once, and keeps the vectors."""

import argparse
import dataclasses
import logging
import os
import signal
import sys
import time
from typing import Annotated, Literal, NoReturn

import rich.console
import tyro

from lit_precompute.commands.console import DownloadDisplay, ProgressDisplay, fail, failures_in_words, say_result
from lit_precompute.commands.image_towers import Towers
from lit_precompute.commands.words import counted
from lit_precompute.pipelines.embed.counters import COUNTERS
from lit_precompute.pipelines.embed.failure_limit import FailureLimit
from lit_precompute.pipelines.embed.job import JobDirectory
from lit_precompute.pipelines.embed.options import JobOptions, TowerOptions
from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.schemas import Manifest, VectorType
from lit_precompute.schemas.storage import MANIFEST_NAME


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Embeds a source of pictures and texts; run the same command again to go on where it stopped.

    Example:
      lit-embed run --source pictures/captions.tsv --tower google/vit-base-patch16-224 --output embedded

    Flags that are not listed go to Apache Beam, for example --runner=DataflowRunner; without --runner the job runs in
    this process.
    """

    source: str
    """A .csv, .tsv or .jsonl table beside the pictures, a .tar file, or a pattern like data-{0000..0012}.tar."""
    tower: str
    """Image tower: a name of `lit-embed towers`, timm, open_clip or Hugging Face; or `module:name` of your own."""
    output: str
    """Directory of the dataset."""
    weights: str | None = None
    """Weights, by default as published: a file, a folder of save_pretrained, or hf://, https://, gs://, s3://."""
    resolution: int | None = None
    """Side of the pictures in pixels; by default as the tower was published."""
    resize: Literal["published", "square"] = "published"
    """`square` squeezes the whole picture; `published` resizes and crops as the tower's authors did."""
    pooling: str | None = None
    """Which of the tower's values are the embedding; by default as published."""
    compute_type: Literal["float32", "bfloat16"] = "float32"
    """Type of the tower's activations."""
    batch_size: int | None = None
    """Pictures on the devices at once; by default a short trial chooses, and the job keeps to it."""
    rows_per_shard: int = 4096
    """Rows of each shard: the grain of work, of retry and of resume."""
    dtype: VectorType = "float16"
    """Type in which vectors are stored; int8 with a scale for each vector. docs/format.md says what each costs."""
    decode_in: Literal["auto", "threads", "processes"] = "auto"
    """What reads and decodes ahead of the device: `auto` takes processes beside an accelerator, else threads."""
    decode_workers: int | None = None
    """How many of these; by default as many as there are cores."""
    max_failures: str | None = None
    """Stop with status 1 when more rows fail: a count (100) or a share (0.5%)."""
    source_format: str | None = None
    """Format of the source, where its name does not tell."""
    image_column: str = "path"
    """Column of the pictures' paths, relative to the table."""
    text_column: str = "text"
    """Column of a text; may be repeated."""
    texts_column: str = "texts"
    """Column of a list of texts."""
    label_column: str = "label"
    """Column of the class, where there is one."""
    key_column: str = "key"
    """Column of a unique name, where there is one; else the path is the key."""

    def job_options(self) -> JobOptions:
        """Returns what the job needs to know."""
        columns = SourceColumns(
            image=self.image_column,
            text=self.text_column,
            texts=self.texts_column,
            label=self.label_column,
            key=self.key_column,
        )
        tower = TowerOptions(
            tower=self.tower,
            weights=self.weights,
            resolution=self.resolution,
            resize=self.resize,
            pooling=self.pooling,
            compute_type=self.compute_type,
        )
        return JobOptions(
            source=self.source,
            tower=tower,
            output=self.output,
            source_format=self.source_format,
            columns=columns,
            batch_size=self.batch_size,
            rows_per_shard=self.rows_per_shard,
            vector_type=self.dtype,
            decode_in=self.decode_in,
            decode_workers=self.decode_workers,
        )


def main() -> None:
    """Entry point of `lit-embed`; exits with 0, 1 (the job failed), 2 (wrong input) or 130 (interrupted)."""
    commands = Annotated[Run, tyro.conf.subcommand("run")] | Annotated[Towers, tyro.conf.subcommand("towers")]
    command, beam_flags = tyro.cli(
        commands,
        prog="lit-embed",
        description=__doc__,
        return_unknown_args=True,
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )
    sys.path.insert(0, "")  # a tower's module may stand where the command is typed, as with `python -m`
    console = rich.console.Console(soft_wrap=True, highlight=False)
    try:
        if isinstance(command, Towers):
            command.run(console)
        else:
            _run(command, beam_flags, console)
    except (ValueError, OSError) as error:  # towers, sources, weights, options, datasets: all say what to do
        fail(error)


def _run(command: Run, beam_flags: list[str], console: rich.console.Console) -> None:
    # TensorFlow, JAX and Beam take seconds to import: --help and `towers` do without.
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns of cloud libraries that a local job does not need
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from lit_precompute.pipelines.embed import graph as embed_job
    from lit_precompute.towers.loading import find_file

    _end_cleanly_on_signals()
    beam_flags = _check_beam_flags(beam_flags)
    options = command.job_options()
    with DownloadDisplay(console) as display:  # before any work: a weights file that is not there ends the command here
        find_file(options.tower.tower, options.tower.weights, progress=display.show)
    job, source, units = embed_job.plan(options, embeds_here=_embeds_here(beam_flags), say=console.print)
    limit = FailureLimit.parse(command.max_failures, job.num_rows)
    directory = JobDirectory(command.output)
    if directory.claim(job):
        say_result(console, command.output, Manifest.read(command.output), 0.0, 0)
        return
    rows_before = sum(marker.info.rows_read for marker in directory.finished().values())
    going_on = f", going on after {rows_before:,}" if rows_before else ""
    rows = counted(job.num_rows, "row")
    console.print(f"{command.tower}: {rows} of {command.source} in {counted(job.num_units, 'shard')}{going_on}")
    started_s = time.monotonic()
    with ProgressDisplay(console, directory, job.num_rows):
        try:
            embed_job.run(options, job, source, units, limit, beam_flags)
        except Exception as error:  # noqa: BLE001 -- runners wrap what a worker raised, each in its own way
            _fail_after(error)
    _stop_where_too_much_failed(directory, limit)
    manifest = Manifest.read(command.output)
    say_result(console, command.output, manifest, time.monotonic() - started_s, job.num_rows - rows_before)


def _stop_where_too_much_failed(directory: JobDirectory, limit: FailureLimit) -> None:
    """Exits with 1 unless the manifest was published."""
    if (directory.path / MANIFEST_NAME).exists():
        return
    markers = list(directory.finished().values())
    num_failures = sum(marker.info.num_failures for marker in markers)
    assert limit.is_exceeded(num_failures), "the runner ended well, so that only the limit can have stopped the job"
    fail(
        f"{num_failures:,} rows failed, --max-failures allows {limit.rows:,}: {failures_in_words(markers)}. Mend the "
        "source (then give another --output), or run the same command with a higher --max-failures to go on",
        status=1,
    )


def _fail_after(error: Exception) -> NoReturn:
    """Exits in words after a runner raised."""
    if COUNTERS.stop_requested.is_set():
        fail("interrupted; finished shards are kept: run the same command again to go on", status=130)
    cause = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
    fail(f"the job stopped: {cause}. Finished shards are kept: run the same command again to go on", status=1)


def _end_cleanly_on_signals() -> None:
    """Makes Ctrl-C and SIGTERM stop the job after the batch in hand; a second one stops it at once."""

    def stop(*_: object) -> None:
        if COUNTERS.stop_requested.is_set():
            os._exit(130)
        COUNTERS.stop_requested.set()
        logging.disable()  # runners would show what the stop raises as an error, with its traceback

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _check_beam_flags(flags: list[str]) -> list[str]:
    """Returns the flags with a runner named.

    Raises:
      ValueError: Beam has no such flag; Beam itself would only warn.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        if add_arguments := options.__dict__.get("_add_argparse_args"):
            add_arguments.__func__(options, parser)
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        raise ValueError(f"unknown options {' '.join(unknown)}: neither lit-embed nor Apache Beam has them; see --help")
    named = any(flag.split("=")[0] == "--runner" for flag in flags)
    # Without a name Beam takes a runner that may fetch a program from the network.
    return flags if named else ["--runner=FnApiRunner", *flags]


def _embeds_here(beam_flags: list[str]) -> bool:
    """Returns whether the runner that the flags name embeds on this machine's devices."""
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    return str(PipelineOptions(beam_flags).view_as(StandardOptions).runner).endswith(("FnApiRunner", "DirectRunner"))


if __name__ == "__main__":
    main()
