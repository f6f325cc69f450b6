"""`lit-embed run --catalog`: what these towers have embedded of this source already is named before any work."""

from collections.abc import Sequence

import rich.console

from lit_precompute.pipelines.embed.known_datasets import find_known
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.schemas.sharing.catalog import UNREADABLE
from lit_precompute.schemas.wording import counted


def refuse_known(
    catalog: str, options: Sequence[EmbedOptions], console: rich.console.Console, *, goes_on: bool
) -> None:
    """Says which datasets of a catalog are of the towers and the source.

    Raises:
      ValueError: there is one, and the job is not to go on all the same.
    """
    found, known = find_known(catalog, options)
    towers = ", ".join(each.tower.name for each in options)
    looked = f"{counted(len(found.entries), 'dataset')} in {counted(found.num_folders, 'folder')}"
    unreadable = sum(entry.state == UNREADABLE for entry in found.entries)
    looked += f" ({unreadable:,} unreadable)" if unreadable else ""
    looked += f", and {counted(found.num_deeper, 'folder')} too deep to look into" if found.num_deeper else ""
    if not known:
        console.print(f"catalog {catalog}: {looked}; none is of {towers} and {options[0].source.path}")
        return
    words = "; ".join(each.in_words() for each in known)
    if not goes_on:
        raise ValueError(f"catalog {catalog}: {words}; use it, or give --embed-again ({looked})")
    console.print(f"catalog {catalog}: {words}; embedding again ({looked})")
