"""`lit-data derive`: texts and labels of your own beside another dataset's embeddings, which are not copied."""

import dataclasses
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import tyro

from lit_precompute.commands.console import make_console, print_json, writing_to
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
}

if TYPE_CHECKING:
    from lit_precompute.precompute.deriving.derivation import Derived
    from lit_precompute.precompute.deriving.matching import Matches

    _Options = DeriveOptions
else:
    _Options = flat_flags(DeriveOptions, _NAMES, fixed={"base": ""})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Derive:
    """Writes a dataset with captions or labels of your own, by key, which refers to another one's tables for the rest.

    To resume what was stopped, run the same command again. For example:

      lit-data derive gs://team/cc12m-vit_l16 --output cc12m-german --captions german.tsv

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
            _print(console, options.output, derived)
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

    def report(what: str, done: int, total: int | None) -> None:
        words = f"{what}  {done:,}" + (f"/{total:,}" if total is not None else "")
        display.show(words, done, total, task=what)

    with interruptible("run the same command again; it starts over"), writing_to(options.output):
        return derive(options, report)


def _print(console: rich.console.Console, output: str, derived: "Derived") -> None:
    for table, matches in derived.matches.items():
        console.print(f"{table}: {describe(matches)}")
    manifest = derived.manifest
    for note in manifest.notes:
        console.print(f"{note.what}: {note.count:,} (first: {note.first})")
    state = "; it was finished before, nothing was left to do" if derived.was_there else ""
    own = [table.name for table in manifest.tables if table.reference is None]
    words = f"{output}: {counted(manifest.num_rows, 'row')}, with {', '.join(own) or 'no table'} of its own"
    console.print(f"{words}; it refers to {', '.join(each.path for each in manifest.references)}{state}")
    quoted = shlex.quote(output)
    console.print(f"next:  lit-data info {quoted}   |   lit-tune --dataset {quoted} --output RUN")


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
