"""`lit-data publish`: puts a dataset on the Hugging Face hub."""

import dataclasses
import pathlib
import shutil
import tempfile
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.console import make_console, print_json
from lit_precompute.commands.data.written import destination_of
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas.sharing.hub.card import CardOptions
from lit_precompute.schemas.storage import absolute
from lit_precompute.schemas.wording import counted


@dataclasses.dataclass(frozen=True)
class Publish:
    """Publishes a dataset on the Hugging Face hub: its files, a Parquet twin for the hub's viewer, a dataset card.

    Others then read it where it is, as hf://datasets/OWNER/NAME. Log in first (`hf auth login`, or HF_TOKEN). An
    upload that was interrupted goes on when the same command is run again. For example:

      lit-data publish cc12m-vit_l16 hf://datasets/me/cc12m-vit_l16 --card.license cc-by-4.0
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The dataset: a directory, or a URL."""
    repository: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[REPOSITORY]")] = None
    """hf://datasets/OWNER/NAME; it is created if it is not there."""
    output: str | None = None
    """The same as REPOSITORY, as other commands have it."""
    card: CardOptions = dataclasses.field(default_factory=CardOptions)
    twin: bool = True
    """Write the tables as Parquet, too, with vectors as float32."""
    private: bool = False
    """Make a new repository private."""
    folder: str | None = None
    """Where to lay out the repository's files; a temporary folder without it. On one disk files are linked."""
    dry_run: bool = False
    """Only lay out --folder, to be looked at; nothing is sent."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Publishes; returns the exit status.

        Raises:
          ValueError, OSError: wrong input, or the hub refuses.
        """
        from lit_precompute.schemas.sharing.hub.uploading import repository_of  # the hub's client is slow to import

        repository = repository_of(destination_of(self.repository, self.output, "hf://datasets/OWNER/NAME"))
        if self.dry_run and self.folder is None:
            raise ValueError("--dry-run needs --folder: where to lay out the files")
        with interruptible("run the same command again to resume"):
            if self.folder is not None:
                self._publish(console, repository, pathlib.Path(absolute(self.folder, what="--folder")))
            else:
                folder = pathlib.Path(tempfile.mkdtemp(prefix="publish-"))
                try:
                    self._publish(console, repository, folder)
                finally:
                    shutil.rmtree(folder, ignore_errors=True)
        return 0

    def _publish(self, console: rich.console.Console, repository: str, path: pathlib.Path) -> None:
        from lit_precompute.schemas.sharing.hub.folder import lay_out
        from lit_precompute.schemas.sharing.hub.uploading import upload

        with ProgressDisplay(make_console(stderr=True)) as display:  # standard output has the result alone

            def laid_out(done: int, total: int) -> None:
                display.show(f"{done:,}/{counted(total, 'file')} laid out", done, total, task="folder")

            def committed(done: int, total: int) -> None:
                display.show(f"{done:,}/{counted(total, 'file')} on the hub", done, total, task="hub")

            folder = lay_out(self.dataset, path, repository, options=self.card, has_twin=self.twin, report=laid_out)
            commit = "" if self.dry_run else upload(folder, repository, is_private=self.private, report=committed)
        names = [*folder.files, *folder.last]
        size = sum((folder.path / name).stat().st_size for name in names)
        if self.json:
            sizes = {"num_files": len(names), "num_bytes": size, "folder": self.folder, "commit": commit or None}
            print_json({"repository": f"hf://datasets/{repository}", **sizes})
            return
        files = f"{counted(len(names), 'file')}, {size / 1e6:,.1f} MB"
        if self.dry_run:
            console.print(f"{path}: {files}; nothing was sent")
        else:
            console.print(f"hf://datasets/{repository}: {files}, all as sent, in commit {commit}")
            console.print(f"next:  lit-data info hf://datasets/{repository}")
