"""`lit-data probe`: whether a dataset is of the tower that it is said to be of."""

import dataclasses
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import rich.table
import tyro

from lit_precompute.commands.console import card, fail, make_console, print_json
from lit_precompute.commands.data.compare import describe_no_common, describe_similarity
from lit_precompute.commands.data.written import describe_written
from lit_precompute.commands.flags import flat_flags
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.pipelines.probe.options import ProbeOptions
from lit_precompute.precompute.extra import check_embed_extra
from lit_precompute.precompute.sources.spec_text import parse_spec
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.schemas.sharing.comparing import SAME_COSINE
from lit_precompute.schemas.tables import EMBEDDINGS

if TYPE_CHECKING:
    from lit_precompute.pipelines.probe.probing import Probed

    _Options = ProbeOptions
else:
    _Options = flat_flags(ProbeOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """Embeds some of a dataset's images again, and says whether the embeddings agree.

    An imported dataset names its tower without proof. With --output, one whose embeddings agree is written again with
    the tower's card: a derived dataset, which refers to this one's files. Exits with 1 if the embeddings do not agree.
    For example:

      lit-data probe laion --source 'laion400m/images/00000.tar' --tower openai/clip-vit-base-patch32
        --output laion-verified
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    options: _Options
    table: str = EMBEDDINGS
    """The table of embeddings."""
    output: str | None = None
    """Where to write the dataset with the card of the tower, if its embeddings agree: a directory, or a URL."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Embeds and compares; returns the exit status.

        Raises:
          ValueError, OSError: wrong input.
        """
        silence_libraries()
        check_embed_extra()
        from lit_precompute.pipelines.probe.probing import check_output, write_verified

        options = dataclasses.replace(self.options, source=parse_spec(self.options.source.path, self.options.source))
        with EmbeddingDataset.open(self.dataset, tables=[], embeddings=self.table) as dataset:
            if self.output is not None:
                check_output(dataset, self.output)
            probed = _probe(dataset, options, make_console(stderr=True))  # standard output has the result alone
            agrees, written = probed.comparison.verdict in ("equal", "interchangeable"), None
            if agrees and self.output is not None:
                written = write_verified(dataset, probed, options, self.output)
        if self.json:
            print_json(self._to_json(probed, written))
        else:
            console.print(describe(probed, options))
            if written is not None and self.output is not None:
                name = written.towers[self.table].name
                console.print(f"{self.output}: of {name}, verified; refers to {self.dataset}")
                console.print(f"next:  lit-data info {shlex.quote(self.output)}")
        return 0 if agrees else 1

    def _to_json(self, probed: "Probed", written: Manifest | None) -> dict[str, Any]:
        comparison = {**dataclasses.asdict(probed.comparison), "verdict": probed.comparison.verdict}
        output = None if written is None or self.output is None else describe_written(self.output, written)
        return {**comparison, "tower": probed.tower.model_dump(), "written": output}


def _probe(dataset: EmbeddingDataset, options: ProbeOptions, messages: rich.console.Console) -> "Probed":
    from lit_precompute.commands.embed.words import describe as describe_progress
    from lit_precompute.commands.embed.words import show_download
    from lit_precompute.pipelines.embed.errors import EmbedError
    from lit_precompute.pipelines.probe.probing import probe

    with ProgressDisplay(messages) as display:
        try:
            return probe(
                dataset,
                options,
                on_fetch=lambda name, done, total: show_download(display, name, done, total),
                report=lambda now: display.show(describe_progress(now), now.num_done, now.num_rows),
                say=messages.print,
            )
        except EmbedError as error:
            fail(error, status=1, with_traceback=error.is_bug)


def describe(probed: "Probed", options: ProbeOptions) -> rich.table.Table:
    """Returns what came of it as a card, the verdict last."""
    comparison, tower = probed.comparison, probed.tower
    rows = [
        ("embedded again", f"{comparison.num_rows[1]:,} images of {options.source.path} by {tower.name}"),
        ("in the dataset", f"{comparison.num_common:,} of their keys"),
    ]
    if comparison.similarity is not None:
        rows += describe_similarity(comparison.similarity)
    return card([*rows, ("verdict", _verdict(probed))])


def _verdict(probed: "Probed") -> str:
    comparison, tower = probed.comparison, probed.tower
    if comparison.verdict == "equal":
        return f"the embeddings are {tower.name}'s, bit for bit"
    if comparison.verdict == "interchangeable":
        return f"the embeddings are {tower.name}'s: every cosine is at least {SAME_COSINE}"
    if comparison.verdict == "different":
        return (
            f"the embeddings are not {tower.name}'s as it was run here: other weights, pooling, resolution or resizing "
            "(--weights, --pooling, --resolution, --resize), or keys that name other images"
        )
    if not comparison.num_common:
        keys = describe_no_common(comparison, "the dataset's", "the source's")
        return f"{keys}: give the source that the dataset was made of, read as it was then"
    return f"the dataset's embeddings have another width than {tower.name}'s, {tower.output_width}"
