"""`lit-data repair`: mends files of a dataset from a copy, or by embedding only what is wrong."""

import dataclasses
import shlex
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.console import fail, make_console, print_json
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.quiet import silence_libraries
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas.dataset_files import dataset_folder
from lit_precompute.schemas.manifest import Manifest
from lit_precompute.schemas.sharing.copying import NUM_THREADS
from lit_precompute.schemas.sharing.repairing import Copies, mend, mend_manifest
from lit_precompute.schemas.sharing.wrong_files import OwnFile, find_wrong_files, own_files
from lit_precompute.schemas.storage import Folder
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True)
class Repair:
    """Mends a dataset's files that are missing, truncated or changed: each becomes the one that the manifest describes.

    For example:

      lit-data repair cc12m-vit_l16 --from gs://bucket/cc12m-vit_l16
      lit-data repair cc12m-vit_l16 --embed --weights vit_l16.npz

    Exits with 1 if a file is left that could not be mended.
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL that can be written to."""
    copies: Annotated[tuple[str, ...], tyro.conf.arg(name="from")] = ()
    """Datasets that have the same files, wherever: copies of it, whole or in part, or datasets that were copied."""
    embed: bool = False
    """Embed the shards that are wrong again, with the options that the manifest records."""
    weights: str | None = None
    """With --embed: the tower's weights, if they are not the published ones."""
    source: str | None = None
    """With --embed: where the source is now, if it was moved."""
    tower: str | None = None
    """With --embed: module:name of your own tower."""
    threads: int = NUM_THREADS
    """Files to read at once."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Mends, and says what is left; returns the exit status."""
        self._check()
        folder = dataset_folder(self.dataset)
        copies = Copies(self.copies)
        messages = make_console(stderr=True)  # standard output has the result alone
        with interruptible("run the same command again to go on"), ProgressDisplay(messages) as display:
            mended = list(mend_manifest(folder, copies)) if self.copies else []
            manifest = Manifest.read(folder)
            wrong = self._find(folder, manifest, display)
            left = dict(wrong)
            if wrong and self.copies:
                left = mend(folder, wrong, copies, self.threads)
            if left and self.embed:
                left = self._embed(left, display)
        mended += [file.name for file in wrong if file not in left]
        if self.json:
            print_json({"dataset": self.dataset, "mended": mended, "left": list(left.values())})
        else:
            bases = sorted({reference.path for reference in manifest.references})
            self._print(console, [folder.join(name) for name in mended], list(left.values()), bases)
        return int(bool(left))

    def _check(self) -> None:
        if not self.copies and not self.embed:
            raise ValueError("--from COPY or --embed: give one, or both: what no copy has is then embedded again")
        given = {"--weights": self.weights, "--source": self.source, "--tower": self.tower}
        if not self.embed and (names := [name for name, value in given.items() if value is not None]):
            raise ValueError(f"{', '.join(names)}: only with --embed")
        if self.threads < 1:
            raise ValueError(f"--threads must be >= 1, got {self.threads}")

    def _find(self, folder: Folder, manifest: Manifest, display: ProgressDisplay) -> dict[OwnFile, str]:
        total = sum(1 for _ in own_files(manifest))
        return find_wrong_files(
            folder,
            manifest,
            self.threads,
            lambda done: display.show(f"{done:,}/{counted(total, 'file')} checked", done, total),
        )

    def _embed(self, wrong: dict[OwnFile, str], display: ProgressDisplay) -> dict[OwnFile, str]:
        silence_libraries()
        from lit_precompute.pipelines.embed.embedding_again import embed_again
        from lit_precompute.pipelines.embed.errors import EmbedError

        try:
            return embed_again(
                self.dataset,
                list(wrong),
                weights=self.weights,
                source=self.source,
                tower=self.tower,
                on_look=lambda done, total: display.show(
                    f"looking into files  {done:,}/{total:,}", done, total, task="l"
                ),
                report=lambda done, total: display.show(
                    f"{done:,}/{counted(total, 'shard')} embedded again", done, total, task="e"
                ),
            )
        except EmbedError as error:
            fail(error, 1, with_traceback=error.is_bug)

    def _print(self, console: rich.console.Console, mended: list[str], left: list[str], bases: list[str]) -> None:
        for name in mended:
            console.print(f"mended: {name}")
        for words in left:
            console.print(f"left: {words}")
        num_wrong = len(mended) + len(left)
        if left:
            advice = "give another copy (--from)" if self.embed else "give another copy (--from), or --embed"
            console.print(f"{self.dataset}: {len(mended):,} of {counted(num_wrong, 'file')} mended; {advice}")
            return
        own = "no file of its own" if bases else "no file"
        words = f"{counted(num_wrong, 'file')} mended" if mended else f"{own} is missing, truncated or changed"
        console.print(f"{self.dataset}: {words}")
        for base in bases:
            console.print(
                f"not looked at: the tables in {base}, a dataset of its own; lit-data verify looks at them, too"
            )
        console.print(f"next:  lit-data verify {shlex.quote(self.dataset)}")
