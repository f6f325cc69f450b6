"""`lit-data derive`: texts and labels of your own beside another dataset's embeddings, which are not copied."""

import dataclasses
import shlex
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import tyro

from lit_precompute.commands.console import duration, make_console, print_json, writing_to
from lit_precompute.commands.data.phases import run_phases, shows_progress
from lit_precompute.commands.data.written import describe_written
from lit_precompute.commands.flags import flag_names, flat_flags
from lit_precompute.commands.progress import Display, ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas.wording import counted

_NAMES = {
    "format": "source-format",
    **{f"columns.{name}": f"{name}-column" for name in ("image", "text", "texts", "label", "key")},
    "columns.named": "named-text",
    **{
        f"embed_texts.{name}": f"text-{name.replace('_', '-')}"
        for name in ("field", "number", "weights", "pooling", "max_tokens", "compute_type")
    },
    "embed_texts.tower": "text-embeddings-of",
    "embed_texts.name": "text-embeddings-name",
    "embed_texts.vector_type": "text-dtype",
}

if TYPE_CHECKING:
    from lit_precompute.precompute.deriving.derivation import Derived
    from lit_precompute.precompute.deriving.matching import Matches

    _Options = DeriveOptions
else:
    _Options = flat_flags(DeriveOptions, _NAMES, fixed={"base": ""})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derive:
    """Writes a dataset with tables of its own, such as captions by key; all others stay where they are.

    To resume what was stopped, run the same command again. For example:

      lit-data derive gs://team/cc12m-vit_l16 --output cc12m-german --captions german.tsv
      lit-data derive cc12m-vit_l16 --output cc12m-minilm --text-embeddings-of sentence-transformers/all-MiniLM-L6-v2

    With --tokens, other flags go to Apache Beam, for example --runner=DataflowRunner. Without --runner the job runs in
    this process.
    """

    base: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset to refer to: a directory, or a URL; it may be read-only, and is not changed."""
    options: _Options
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, beam_flags: Sequence[str] = ()) -> int:
        """Derives, and prints what was matched; returns the exit status."""
        options = dataclasses.replace(self.options, base=self.base)
        with ProgressDisplay(make_console(stderr=True)) as display:  # standard output has the result alone
            derived = self._tokenise(options, beam_flags, display) if options.tokens else _derive(options, display)
        if self.json:
            print_json(to_json(options.output, derived))
        else:
            _print(console, options, derived)
        return 0

    def _tokenise(self, options: DeriveOptions, beam_flags: Sequence[str], display: Display) -> "Derived":
        from lit_precompute.pipelines.tokens import tokenise

        return run_phases(
            self,
            "derive",
            beam_flags,
            "what is finished is kept: run the same command again to resume",
            lambda: tokenise(
                options, beam_flags=beam_flags, report=shows_progress(display, {"tokenise": "rows tokenised"})
            ),
            output=options.output,
            more_flags=flag_names(DeriveOptions, _NAMES),
        )


def _derive(options: DeriveOptions, display: Display) -> "Derived":
    from lit_precompute.precompute.deriving.derivation import derive

    kept = "finished shards are kept" if options.embed_texts.tower is not None else "it starts over"
    with interruptible(f"run the same command again; {kept}"), writing_to(options.output):
        return derive(options, _progress(display))


def _progress(display: Display) -> Callable[[str, int, int | None], None]:
    """Returns a function that shows what is being done, how much of it is done, the rate and the time left."""
    begun: dict[str, tuple[float, int]] = {}

    def report(what: str, done: int, total: int | None) -> None:
        since_s, first = begun.setdefault(what, (time.monotonic(), done))
        words = f"{what}  {done:,}" + (f"/{total:,}" if total is not None else "")
        seconds = time.monotonic() - since_s
        if done > first and seconds > 1:
            rate = (done - first) / seconds
            words += f"  {rate:,.0f} rows/s" + (f"  {duration((total - done) / rate)} left" if total else "")
        display.show(words, done, total, task=what)

    return report


def _print(console: rich.console.Console, options: DeriveOptions, derived: "Derived") -> None:
    for table, matches in derived.matches.items():
        console.print(f"{table}: {describe(matches)}")
    manifest = derived.manifest
    for note in manifest.notes:
        console.print(f"{note.what}: {note.count:,} (first: {note.first})")
    state = "; it was finished before, nothing was left to do" if derived.was_there else ""
    own = [table.name for table in manifest.tables if table.reference is None]
    words = f"{options.output}: {counted(manifest.num_rows, 'row')}, with {', '.join(own) or 'no table'} of its own"
    console.print(f"{words}; it refers to {', '.join(each.path for each in manifest.references)}{state}")
    output, embeds = shlex.quote(options.output), options.embed_texts.tower is not None
    stored = f" --text-tower.kind stored --text-tower.table {options.embed_texts.table()}" if embeds else ""
    console.print(f"next:  lit-data info {output}   |   lit-tune --dataset {output} --output RUN{stored}")


def to_json(output: str, derived: "Derived") -> dict[str, Any]:
    """Returns what was derived, as JSON; counts of keys as the manifest's `job` has them."""
    manifest = derived.manifest
    return {
        **describe_written(output, manifest),
        "was_there": derived.was_there,
        "tables": [table.name for table in manifest.tables if table.reference is None],
        "references": [reference.model_dump() for reference in manifest.references],
        "matches": manifest.job.get("matches", {}),
        "notes": [note.model_dump() for note in manifest.notes],
    }


def describe(matches: "Matches") -> str:
    """Returns how the rows of a file were matched, in one line."""
    words = f"{counted(matches.num_rows, 'row')} for {counted(matches.num_matched, 'image')}"
    if matches.num_missing:
        words += f"; {counted(matches.num_missing, 'image')} not in the file (first: {matches.first_missing[0]})"
    if matches.num_surplus:
        words += f"; {counted(matches.num_surplus, 'key')} not in the dataset (first: {matches.first_surplus[0]})"
    if matches.num_failed:
        words += f"; {counted(matches.num_failed, 'image')} that could not be embedded"
    return words
