"""`lit-embed run`: the embedding job, with its progress and its result."""

import dataclasses
import logging
import os
import time
from typing import Literal

import rich.console

from lit_precompute.commands.console import counted, duration, fail
from lit_precompute.commands.embed.beam_flags import check_beam_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest, interruptible
from lit_precompute.pipelines.embed.launch import EmbedError, EmbedProgress, EmbedStopped, Launch
from lit_precompute.pipelines.embed.options import JobOptions, TowerOptions
from lit_precompute.precompute.sources.source import SourceColumns
from lit_precompute.schemas import Manifest, VectorType

_HOW_TO_GO_ON = "finished shards are kept: run the same command again to go on"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Embeds a source of images and texts; run the same command again to go on where it stopped.

    Example:
      lit-embed run --source pictures/captions.tsv --tower google/vit-base-patch16-224 --output embedded

    Flags that are not listed go to Apache Beam, for example --runner=DataflowRunner; without --runner the job runs in
    this process.
    """

    source: str
    """A .csv, .tsv or .jsonl table beside the images, a .tar file, or a pattern like data-{0000..0012}.tar."""
    tower: str
    """Image tower: a name of `lit-embed towers`, timm, open_clip or Hugging Face; or `module:name` of your own."""
    output: str
    """Directory of the dataset."""
    weights: str | None = None
    """Weights, by default as published: a file, a folder of save_pretrained, or hf://, https://, gs://, s3://."""
    resolution: int | None = None
    """Side of the images in pixels; by default as the tower was published."""
    resize: Literal["published", "square"] = "published"
    """`square` squeezes the whole image; `published` resizes and crops as the tower's authors did."""
    pooling: str | None = None
    """Which of the tower's values are the embedding; by default as published."""
    compute_type: Literal["float32", "bfloat16"] = "float32"
    """Type of the tower's activations."""
    batch_size: int | None = None
    """Images on the devices at once; by default a short trial chooses, and the job keeps to it."""
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
    """Column of the images' paths, relative to the table."""
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

    def run(self, console: rich.console.Console, beam_flags: list[str]) -> None:
        """Embeds; exits with the status that main's docstring gives unless all went well.

        Raises:
          ValueError, OSError: wrong input.
        """
        logging.getLogger().setLevel(logging.ERROR)  # Beam warns of cloud libraries that a local job does not need
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with interruptible(_HOW_TO_GO_ON):
            check_beam_flags(beam_flags)
            with ProgressDisplay(console) as display:
                launch = Launch(
                    self.job_options(),
                    max_failures=self.max_failures,
                    beam_flags=beam_flags,
                    on_fetch=lambda name, done, total: show_download(display, name, done, total),
                    say=console.print,
                )
            _run(launch, console)


def _run(launch: Launch, console: rich.console.Console) -> None:
    job = launch.job
    if not launch.is_finished:
        going_on = f", going on after {launch.num_done_before:,}" if launch.num_done_before else ""
        shards = counted(job.num_units, "shard")
        console.print(f"{job.tower.name}: {counted(job.num_rows, 'row')} of {job.source.path} in {shards}{going_on}")
    started_s = time.monotonic()
    stop = StopRequest(console, after="this batch", stop_at_once=_exit_at_once)
    with stop, ProgressDisplay(console) as display:
        try:
            manifest = launch.run(
                lambda progress: display.show(describe(progress), progress.num_done, progress.num_rows),
                lambda: _quietly(stop()),
            )
        except EmbedStopped:
            fail(f"interrupted; {_HOW_TO_GO_ON}", INTERRUPTED)
        except EmbedError as error:
            fail(error, status=1)
    num_embedded = 0 if launch.is_finished else job.num_rows - launch.num_done_before
    say_result(console, job.output, manifest, time.monotonic() - started_s, num_embedded)


def _quietly(is_stop_requested: bool) -> bool:
    """Keeps runners from showing what a stop raises as an error, with its traceback."""
    if is_stop_requested:
        logging.disable()
    return is_stop_requested


def _exit_at_once() -> None:
    os._exit(INTERRUPTED)  # the runner's threads would go on


def show_download(display: ProgressDisplay, name: str, num_bytes: int, all_bytes: int) -> None:
    """Shows a weights file that is being fetched; `all_bytes` is 0 where nobody knows."""
    size = f"{num_bytes / 1e6:,.1f}/{all_bytes / 1e6:,.1f} MB" if all_bytes else f"{num_bytes / 1e6:,.1f} MB"
    display.show(f"fetching {name}  {size}", num_bytes, all_bytes or None, task=name)


def describe(progress: EmbedProgress) -> str:
    """Returns rows, rate, time left and failures in a line."""
    words = f"{progress.num_done:,}/{progress.num_rows:,} rows"
    if progress.rows_per_second:
        left_s = (progress.num_rows - progress.num_done) / progress.rows_per_second
        words += f"  {progress.rows_per_second:,.0f} rows/s  {duration(left_s)} left"
    return words + (f"  {progress.num_failures:,} failed" if progress.num_failures else "")


def say_result(
    console: rich.console.Console, output: str, manifest: Manifest, seconds: float, num_embedded: int
) -> None:
    """Prints what was written and what to do next."""
    size = sum(file.bytes for shard in manifest.shards for file in shard.files.values())
    rate = f"{counted(num_embedded, 'row')} in {seconds:.0f} s" if num_embedded else "nothing was left to do"
    console.print(
        f"{output}: {counted(manifest.num_rows, 'row')} of {manifest.tower.output_width} numbers, "
        f"{size / 1e6:,.1f} MB in {counted(len(manifest.shards), 'shard')}; {rate}"
    )
    if manifest.num_failures:
        failed = counted(manifest.num_failures, "row")
        console.print(f"{failed} failed; the table `failures` says which and why (lit-data info)")
    console.print(f"next:  lit-data info {output}   |   lit-tune --dataset {output} --output RUN")
