"""Debian's openclipart as two embedding datasets: drawings with title, description and tags, as YFCC100m's photographs.

Promises: the packages, once in .demo/openclipart, are not fetched again; the same packages give the same rows. No
held-out drawing is in the training data, not even as another file of the same pixels.

The drawings are in the public domain (packages openclipart-png and openclipart-svg of Debian).
"""

import collections
import hashlib
import json
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from PIL import Image

from benchmarks.openclipart.metadata import Texts, read_texts
from demo.__main__ import FOLDER

HOME = FOLDER / "openclipart"
TRAIN, HELD_OUT = HOME / "train", HOME / "heldout"
PACKAGES = ("openclipart-png", "openclipart-svg")
FIELDS = ("title", "description", "tags")
# All tags in one text, to retrieve by.
TAG_LIST = "tag_list"
NUM_HELD_OUT, SEED, SIDE = 1_000, 0, 224
# Twenty-two drawings have more; the largest has 623 million, which is 2.5 GB.
_MOST_PIXELS = 50_000_000
_SHARE = "usr/share/openclipart"
_COMMANDS = pathlib.Path(sys.executable).parent


class Drawing(NamedTuple):
    """One drawing: the file of its pixels, its texts, and its category, the folder that it is in."""

    file: str
    category: str
    texts: Texts


def prepare() -> dict[str, int]:
    """Fetches, draws and embeds what is missing; returns what was counted on the way."""
    counts = HOME / "counts.json"
    if not counts.exists():
        _fetch()
        drawings, counted = read_drawings()
        held_out, rest = split(drawings)
        for path, rows in ((HELD_OUT, held_out), (TRAIN, rest)):
            _write_source(path.with_suffix(".jsonl"), rows)
        counted |= {"held_out": len(held_out), "train": len(rest)}
        counted |= {f"train_{field}": sum(bool(getattr(row.texts, field)) for row in rest) for field in FIELDS}
        counts.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
    named = [f"{field}={field}" for field in (*FIELDS, TAG_LIST)]
    for path in (TRAIN, HELD_OUT):
        source = ["--source", f"{path}.jsonl", "--image-column", "file", "--label-column", "category"]
        tower = ["--tower", "efficientnet-lite0", "--resize", "square"]
        run(["lit-embed", "run", *source, "--named-text", *named, *tower, "--output", str(path)])
    return json.loads(counts.read_text(encoding="utf-8"))


def read_drawings() -> tuple[list[Drawing], dict[str, int]]:
    """Returns the drawings that differ, on white and in a small size, and how many of which files were left out."""
    counted, seen, drawings = collections.Counter[str](), set[str](), list[Drawing]()
    root, small = HOME / "files" / _SHARE, HOME / "small"
    small.mkdir(parents=True, exist_ok=True)
    for path in sorted((root / "png").rglob("*.png")):
        counted["files"] += 1
        place = path.relative_to(root / "png")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in seen:
            counted["equal_files"] += 1
            continue
        seen.add(digest)
        image = _on_white(path)
        if image is None:
            counted["too_large"] += 1
            continue
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
        if pixels in seen:
            counted["equal_pixels"] += 1
            continue
        seen.add(pixels)
        image.save(small / f"{pixels[:16]}.png", compress_level=1)
        texts = read_texts((root / "svg" / place).with_suffix(".svg").read_bytes())
        drawings.append(Drawing(f"small/{pixels[:16]}.png", _category(place), texts))
    return drawings, dict(counted)


def split(drawings: list[Drawing]) -> tuple[list[Drawing], list[Drawing]]:
    """Returns the drawings to hold out, of those that have a title and tags, and all others."""
    shuffled = random.Random(SEED).sample(drawings, len(drawings))
    held_out = [row for row in shuffled if row.texts.title and row.texts.tags][:NUM_HELD_OUT]
    taken = {row.file for row in held_out}
    return held_out, [row for row in shuffled if row.file not in taken]


def run(command: list[str]) -> str:
    """Runs one of the library's commands and returns its output."""
    done = subprocess.run([str(_COMMANDS / command[0]), *command[1:]], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _fetch() -> None:
    """Fetches and unpacks the packages."""
    packages = HOME / "debian"
    packages.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not list(packages.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=packages, check=True)
        if not (HOME / "files" / _SHARE / package.rpartition("-")[2]).exists():
            (file,) = packages.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", str(file), str(HOME / "files")], check=True)


def _on_white(path: pathlib.Path) -> Image.Image | None:
    """Returns a drawing on white, squeezed to a square; None if it has too many pixels."""
    Image.MAX_IMAGE_PIXELS = None  # bounded here
    with Image.open(path) as image:
        if image.width * image.height > _MOST_PIXELS:
            return None
        drawing = image.convert("RGBA").resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    white = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(white, drawing).convert("RGB")


def _category(place: pathlib.Path) -> str:
    """Returns the second folder of a drawing, or the first where there is no second, as words."""
    folders = place.parts[:-1]
    return folders[min(1, len(folders) - 1)].replace("_", " ").replace("-", " ")


def _write_source(path: pathlib.Path, rows: Iterable[Drawing]) -> None:
    def line(row: Drawing) -> dict[str, Any]:
        one_each = {name: [value] if value else [] for name, value in row.texts._asdict().items() if name != "tags"}
        all_tags = [", ".join(row.texts.tags)] if row.texts.tags else []
        return {"file": row.file, "category": row.category, **one_each, "tags": row.texts.tags, TAG_LIST: all_tags}

    path.write_text("".join(json.dumps(line(row)) + "\n" for row in rows), encoding="utf-8")
