"""`lit-data compare`: whether two datasets' embeddings are of the same tower."""

import dataclasses
from typing import Annotated

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, make_console, print_json
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas.reading.dataset import EmbeddingDataset
from lit_precompute.schemas.sharing.comparing import SAME_COSINE, Comparison, Similarity, compare_datasets
from lit_precompute.schemas.sharing.unlike_keys import unlike_in_words
from lit_precompute.schemas.tables import EMBEDDINGS
from lit_precompute.schemas.wording import counted

_WORDS = {
    "equal": "the embeddings of common rows are equal",
    "interchangeable": f"interchangeable: every cosine is at least {SAME_COSINE}",
    "different": f"different: a cosine is below {SAME_COSINE}",
    "not comparable": "not comparable",
}


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compares two datasets: their towers' identities, their common keys, and the embeddings of common rows.

    Exits with 1 unless the embeddings are equal or interchangeable. For example:

      lit-data compare cc12m-vit_l16 gs://bucket/cc12m-from-elsewhere
    """

    one: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """A dataset: a directory, or a URL."""
    other: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OTHER")]
    """The dataset to compare it with."""
    table: str = EMBEDDINGS
    """The table of embeddings of the first dataset."""
    other_table: str | None = None
    """The table of embeddings of the second one, if it has another name there."""
    max_rows: int = 10_000
    """How many common rows are compared at most: up to 64 runs of rows, spread over the first dataset."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Prints the comparison; returns the exit status.

        Raises:
          DatasetError: a dataset cannot be read, or has no such table of embeddings.
          ValueError: no rows are to be compared.
        """
        if self.max_rows < 1:
            raise ValueError(f"--max-rows must be >= 1, got {self.max_rows}")
        with (
            EmbeddingDataset.open(self.one, tables=[], embeddings=self.table) as one,
            EmbeddingDataset.open(self.other, tables=[], embeddings=self.other_table or self.table) as other,
            ProgressDisplay(make_console(stderr=True)) as display,
        ):

            def report(done: int, total: int) -> None:
                display.show(f"keys of {done:,}/{counted(total, 'block')} read", done, total)

            comparison = compare_datasets(one, other, max_rows=self.max_rows, report=report)
        if self.json:
            print_json({**dataclasses.asdict(comparison), "verdict": comparison.verdict})
        else:
            console.print(describe_comparison(comparison))
        return 0 if comparison.verdict in ("equal", "interchangeable") else 1


def describe_comparison(comparison: Comparison) -> rich.table.Table:
    """Returns a comparison as a card, the verdict last."""
    ours, theirs = comparison.num_rows
    rows = [
        ("rows", f"{ours:,} and {theirs:,}; {counted(comparison.num_common, 'key')} in both"),
        ("dataset", "the same" if comparison.is_same_dataset else "different digests"),
        (f"table {comparison.table}", "the same bytes" if comparison.is_same_table else "different bytes"),
        ("fingerprint", _agreement(*comparison.fingerprints)),
        ("model identity", _agreement(*comparison.model_identities)),
        *((name, " and ".join(map(_known, both))) for name, both in comparison.differences.items()),
    ]
    if comparison.similarity is not None:
        rows += describe_similarity(comparison.similarity)
    return card([*rows, ("verdict", _WORDS[comparison.verdict] + _reason(comparison))])


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _agreement(one: str | None, other: str | None) -> str:
    if one is None or other is None:
        return "unknown: a card does not describe the network"
    return f"the same: {one}" if one == other else f"different: {one} and {other}"


def describe_similarity(found: Similarity) -> list[tuple[str, str]]:
    """Returns how alike common rows are, as lines of a card."""
    unrelated = "" if found.unrelated_cosine is None else f"; rows of different keys: {found.unrelated_cosine:.4f}"
    return [
        ("compared", f"{counted(found.num_rows, 'common row')}, of which {found.num_equal:,} are equal"),
        (
            "cosine",
            f"mean {found.mean_cosine:.6f}, least {found.least_cosine:.6f} (key '{found.least_key}'){unrelated}",
        ),
        ("length", f"{found.norm_ratio:.4f} times the first's"),
    ]


def describe_no_common(comparison: Comparison, one: str = "the first dataset's", other: str = "the second's") -> str:
    """Returns that no key is in both, with a key of each."""
    ours, theirs = comparison.first_keys
    if ours is None or theirs is None:
        return "a dataset has no rows"
    return f"no common keys; {unlike_in_words(one, ours, other, theirs)}"


def _reason(comparison: Comparison) -> str:
    """Returns what to think of a verdict that the cards do not explain; "" if they do."""
    same_card = comparison.fingerprints[0] == comparison.fingerprints[1]
    if comparison.verdict == "not comparable":
        return f": {describe_no_common(comparison)}" if not comparison.num_common else ": the widths differ"
    if comparison.verdict == "different" and same_card:
        return ". The fingerprints are equal, so a card is wrong, or the images of a key differ: verify both datasets"
    if comparison.verdict != "different" and not same_card:
        return ". The fingerprints differ all the same: see what differs above"
    return ""
