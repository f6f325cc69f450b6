"""Small jobs whose source and output are in one place, on disk or in a store, and what they leave there."""

import dataclasses
import hashlib
import pathlib

from lit_precompute.schemas.storage import open_folder
from tests.pipelines.embed.making import arguments, draw_image
from tests.precompute.sources.webdataset.tars import write_tar

NUM_TARS, TAR_ROWS, UNIT_ROWS = 3, 24, 8
NUM_UNITS = NUM_TARS * TAR_ROWS // UNIT_ROWS
# Times and rates differ between two runs of one job; everything else must not.
_DIFFERS = "job-report.json"


def make_source(scratch, place):
    """Puts tars of good and bad images into a place; returns the pattern that names them."""
    for tar in range(NUM_TARS):
        members = []
        for row in range(TAR_ROWS):
            image = draw_image(row)[: 60 if row % 7 == 3 else None]
            members += [(f"{tar}{row:03d}.png", image), (f"{tar}{row:03d}.txt", f"text {row} of {tar}")]
        local = pathlib.Path(scratch) / f"{tar}.tar"
        write_tar(local, members)
        open_folder(place).write(f"source/{tar}.tar", local.read_bytes())
        local.unlink()
    return f"{place}/source/*.tar"


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """A job that nothing disturbed: the kind of its place and the place, its source and weights, what it left, and how
    long the operations of each phase took."""

    kind: str
    place: str
    source: str
    weights: str
    content: dict
    seconds: dict

    def command(self, name):
        """Returns the command that embeds the same to another output, and that output."""
        output = f"{self.place}/{name}"
        return embed(self.source, output, self.weights), output


def embed(source, output, weights, **options):
    """Returns the command; the batch size is fixed, so that bytes can be compared."""
    return ["lit-embed", *arguments(pathlib.Path(weights), output, weights, source=source, **options)]


def embed_with(towers, source, output, **options):
    """Returns the command that embeds with several towers, given with their weights, in one pass."""
    command = embed(source, output, next(iter(towers.values())), **options)
    place = command.index("--tower")
    command[place : place + 4] = ["--towers", ",".join(f"{name}@{weights}" for name, weights in towers.items())]
    return command


def content_of(output):
    """Returns the SHA-256 of every file, finished or not."""
    folder = open_folder(output)
    names = set(folder.find()) - {_DIFFERS}
    local = pathlib.Path(output)
    if local.is_dir():  # also those that a listing leaves out
        names = {str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()} - {_DIFFERS}
    return {name: hashlib.sha256(folder.read(name)).hexdigest() for name in sorted(names)}
