"""`lit-data flatten`: one dataset of a derived one and all that it refers to."""

import dataclasses
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.data.copy import copy
from lit_precompute.schemas.sharing.copying import NUM_THREADS
from lit_precompute.schemas.sharing.part import Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flatten:
    """Copies a derived dataset and the tables that it refers to into one dataset, which refers to nothing.

    Every file is compared with its SHA-256; the manifest comes last. To finish a copy that was stopped, run the same
    command again. For example:

      lit-data flatten cc12m-german --output gs://bucket/cc12m-german
    """

    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """The derived dataset: a directory, or a URL."""
    output: str
    """A directory, or a URL of a store that can be written to."""
    threads: int = NUM_THREADS
    """Files to copy at once."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> int:
        """Copies, and prints what came of it; returns the exit status."""
        flat = Part(is_flat=True)
        copy(console, self.dataset, self.output, flat, num_threads=self.threads, as_json=self.json)
        return 0
