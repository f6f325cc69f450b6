"""`lit-data deduplicate`: selects the rows that are not near-duplicates of others."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, make_console, print_json
from lit_precompute.commands.data.phases import run_phases, shows_progress
from lit_precompute.commands.pages import check_page
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.pipelines.deduplicate import DeduplicateOptions, deduplicate
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.schemas.wording import counted, one_line

if TYPE_CHECKING:
    from lit_precompute.pipelines.deduplicate.examples import Compared

_LEVELS = (0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
_THUMBNAIL_SIDE = 240
_RESUME = "what is compared is kept: run the same command again to resume"


@dataclasses.dataclass(frozen=True)
class Deduplicate:
    """Selects the rows of a dataset that are not near-duplicates of an evaluation dataset's rows, or of earlier rows.

    Two rows are near-duplicates if the cosine of their embeddings is at or above the threshold. Of a group within the
    dataset the first row stays. The output is a selection, which lit-tune and lit-data take.

    For example:

      lit-data deduplicate cc12m-vit_l16 --against imagenet-val coco-test --output clean.selection --page pairs.html
      lit-data deduplicate cc12m-vit_l16 --within --threshold 0.98 --output once.selection

    Other flags go to Apache Beam, for example --runner=DataflowRunner. Without --runner the job runs in this process.
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset, of which rows are removed: a directory, or a URL."""
    output: str
    """The selection to write: a path or URL that ends in .selection."""
    against: tuple[str, ...] = ()
    """Evaluation datasets, embedded with the same tower: directories or URLs."""
    within: bool = False
    """Also remove near-duplicates of earlier rows of the dataset itself."""
    threshold: float = DeduplicateOptions.threshold
    """The least cosine of near-duplicates."""
    table: str = DeduplicateOptions.table
    """The table of embeddings, such as embeddings-view1; of an evaluation dataset without it, `embeddings`."""
    page: str | None = None
    """Write pairs of rows around the threshold as one HTML page of this name."""
    show_images: bool = False
    """Put the images on the page, read from the datasets' sources."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console, beam_flags: Sequence[str] = ()) -> int:
        """Prints what was removed; returns the exit status.

        Raises:
          ValueError, OSError: wrong input.
        """
        _check_page(self.page, show_images=self.show_images)
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(DeduplicateOptions)[:6]}
        options = DeduplicateOptions(**given)
        messages = make_console(stderr=True)  # standard output has the result alone

        def say(words: str) -> None:
            messages.print(f"note: {one_line(words)}")

        with ProgressDisplay(messages) as display:
            report = shows_progress(display, {"compare": "pairs compared"})

            def run() -> Selection:
                selection = deduplicate(options, beam_flags=beam_flags, report=report, say=say)
                if self.page is not None:
                    self._write_page(options, selection, self.page)
                return selection

            selection = run_phases(self, "deduplicate", beam_flags, _RESUME, run, output=self.output)
        if self.json:
            print_json(describe(self.output, selection))
        else:
            print_result(console, self.output, selection)
            if self.page is not None:
                console.print(f"{self.page}: pairs around the threshold")
        return 0

    def _write_page(self, options: DeduplicateOptions, selection: Selection, page: str) -> None:
        from lit_precompute.commands.data.duplicates_page import make_duplicates_page
        from lit_precompute.pipelines.deduplicate.examples import find_examples

        compared = find_examples(options, selection)
        images = find_thumbnails(self.dataset, compared) if self.show_images else {}
        write_bytes_atomically(pathlib.Path(page), make_duplicates_page(selection, compared, images))


def find_thumbnails(dataset: str, compared: "Sequence[Compared]") -> dict[str | None, dict[str, bytes | None]]:
    """Returns the images of the pairs, by key, for each evaluation dataset and, under None, the dataset."""
    from lit_precompute.tune.evaluation.show.images import find_images
    from lit_precompute.tune.evaluation.show.thumbnails import make_thumbnails

    keys: dict[str | None, set[str]] = {None: set()}
    for each in compared:
        keys[None] |= {pair.row.key for pair in each.pairs}
        keys.setdefault(each.path, set()).update(pair.other.key for pair in each.pairs)
    thumbnails: dict[str | None, dict[str, bytes | None]] = {}
    for path, wanted in keys.items():
        with EmbeddingDataset.open(path or dataset) as opened:
            thumbnails[path] = make_thumbnails(find_images(opened, wanted, None).images, wanted, _THUMBNAIL_SIDE)
    return thumbnails


def describe(output: str, selection: Selection) -> dict[str, Any]:
    """Returns the result as JSON."""
    return {"selection": output, "num_selected": selection.num_selected, **selection.made_by}


def print_result(console: rich.console.Console, output: str, selection: Selection) -> None:
    """Prints the counts of the paper's Table 6, and how many rows other thresholds would be about."""
    made_by, stays = selection.made_by, selection.num_selected
    total, removed = made_by["num_rows"], made_by["num_removed"]
    lines = [("rows", f"{total:,} = {counted(stays, 'row')} that stay + {removed:,} removed ({removed / total:.2%})")]
    for each in made_by["against"]:
        there = f"{each['matched']:,} of {counted(each['num_rows'], 'row')} matched there"
        lines.append((f"against {each['path']}", f"{each['removed']:,} removed here, {there}"))
    if len(made_by["against"]) > 1:
        lines.append(("against all", f"{made_by['removed_against']:,} removed here"))
    if within := made_by["within"]:
        lines.append(("within", f"{within['removed']:,} removed, for which {within['groups']:,} earlier ones stay"))
    if made_by["num_zeros"]:
        lines.append(("all zeros", f"{counted(made_by['num_zeros'], 'row')}, similar to nothing"))
    console.print(card(lines))
    console.print(_levels(made_by))
    console.print(output)


def _levels(made_by: Mapping[str, Any]) -> rich.table.Table:
    """Returns how many rows have a nearest cosine at or above each of some levels, to choose a threshold by."""
    compared = [(os.path.basename(each["path"]), each["histogram"]) for each in made_by["against"]]  # noqa: PTH119
    compared += [("earlier rows", made_by["within"]["histogram"])] if made_by["within"] else []
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("rows whose nearest cosine is at least")
    for name, _ in compared:
        table.add_column(one_line(name), justify="right")
    for level in _LEVELS:
        counts = (sum(count for low, count in bins.items() if float(low) >= level - 1e-9) for _, bins in compared)
        table.add_row(f"{level:.2f}", *(f"{count:,}" for count in counts))
    return table


def _check_page(page: str | None, *, show_images: bool) -> None:
    if page is None:
        if show_images:
            raise ValueError("--show-images: puts images on a page; give --page FILE.html as well")
        return
    check_page("--page", page)
