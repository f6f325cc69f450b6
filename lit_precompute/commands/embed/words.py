"""What `lit-embed run` says: before the job, while it runs, and of its result."""

import shlex

import rich.console

from lit_precompute.commands.console import duration
from lit_precompute.commands.progress import Display
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress
from lit_precompute.pipelines.embed.retry import RetriedRows
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.wording import counted


def describe_job(launch: Launch) -> str:
    """Returns what is about to be embedded, in one line."""
    plan, towers = launch.plan, ", ".join(dataset.options.tower.name for dataset in launch.datasets)
    if plan is None:
        return f"{towers}: {counted(launch.num_files, 'file')} of {launch.source_path}"
    resuming = f", resuming after {launch.num_done_before:,}" if launch.num_done_before else ""
    rows = f"{'unknown' if plan.num_rows is None else counted(plan.num_rows, 'row')} of {plan.source.path}"
    return f"{towers}: {rows} ({plan.extent}) in {counted(len(plan.units), 'shard')}{resuming}"


def show_download(display: Display, name: str, num_bytes: int, all_bytes: int) -> None:
    """Shows the download of a weights file; `all_bytes` is 0 when the size is unknown."""
    size = f"{num_bytes / 1e6:,.1f}/{all_bytes / 1e6:,.1f} MB" if all_bytes else f"{num_bytes / 1e6:,.1f} MB"
    display.show(f"fetching {name}  {size}", num_bytes, all_bytes or None, task=name)


def show_looks(display: Display, num_files: int, all_files: int) -> None:
    """Shows how many of the source's files were looked into."""
    if all_files > 1:
        display.show(f"looking into files  {num_files:,}/{all_files:,}", num_files, all_files, task="looking")


def describe(progress: EmbedProgress) -> str:
    """Returns one line with rows, rate, time left, failures and retries."""
    if progress.num_rows is None:
        words = counted(progress.num_done, "row")
    else:
        words = f"{progress.num_done:,}/{counted(progress.num_rows, 'row')}"
    if progress.rows_per_second and progress.num_rows is not None:
        left_s = (progress.num_rows - progress.num_done) / progress.rows_per_second
        words += f"  {progress.rows_per_second:,.0f} rows/s  {duration(left_s)} left"
    words += f"  {progress.num_failures:,} failed" if progress.num_failures else ""
    return words + (f"  {counted(progress.num_retried, 'read')} retried" if progress.num_retried else "")


def describe_retry(retried: RetriedRows) -> str:
    """Returns one line with what came of rows that were attempted again."""
    attempted = f"{counted(retried.num_attempted, 'row')} attempted again"
    if retried.num_more < 0:
        return f"{attempted}; {counted(-retried.num_more, 'row')} more than before failed"
    return f"{attempted}; {retried.num_more:,} of them now have embeddings"


def say_result(
    console: rich.console.Console,
    output: str,
    manifest: Manifest,
    seconds: float,
    num_embedded: int,
    num_retried: int = 0,
) -> None:
    """Prints what was written, what went wrong on the way, and what to do next."""
    size = sum(manifest.shards.table_bytes(table.name) for table in manifest.tables)
    rate = f"{counted(num_embedded, 'row')} in {seconds:.0f} s" if num_embedded else "nothing was left to do"
    console.print(
        f"{output}: {counted(manifest.num_rows, 'row')} of {manifest.tower.output_width} numbers, "
        f"{size / 1e6:,.1f} MB in {counted(len(manifest.shards), 'shard')}; {rate}"
    )
    if num_retried:
        console.print(f"{counted(num_retried, 'read')} retried, because a server did not answer or a connection broke")
    if manifest.num_failures:
        failed = counted(manifest.num_failures, "row")
        console.print(f"{failed} failed; the table `failures` lists them with reasons (see lit-data info)")
    for note in manifest.notes:
        console.print(f"{note.what}: {note.count:,} (first: {note.first})")
    console.print(f"next:  lit-data info {shlex.quote(output)}{_use_of(manifest, output)}")


def _use_of(manifest: Manifest, output: str) -> str:
    """Returns the command that uses a dataset: its texts, or else its labels."""
    with EmbeddingDataset.open(output, tables=["captions"]) as dataset:
        has_texts = any(dataset.read_block(0, ["texts"])["texts"].to_pylist())  # of its first rows
    if has_texts:
        return f"   |   lit-tune --dataset {shlex.quote(output)} --output RUN"
    has_labels = any(table.name == "labels" for table in manifest.tables)
    return f"   |   lit-eval zero-shot --model RUN/model --dataset {shlex.quote(output)}" if has_labels else ""
