"""Images of four coloured squares with texts that say which, and two small towers, one of which sees almost nothing."""

import io
import itertools

import numpy as np
from PIL import Image

from lit_precompute.choosing.options import ChooseOptions
from lit_precompute.precompute.options import DecodingOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from tests.pipelines.embed import second_tower
from tests.towers import tiny_tower

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (250, 250, 250)}


def write_squares(folder, count=120):
    """Writes images and their table of captions, no two alike; returns the table's path."""
    (folder / "images").mkdir(parents=True)
    places = np.random.default_rng(0).permutation(4**4)[:count]
    arrangements = list(itertools.product(COLOURS, repeat=4))
    rows = ["path\ttext"]
    for number, place in enumerate(places):
        names = arrangements[place]
        squares = np.array([COLOURS[name] for name in names], np.uint8).reshape(2, 2, 3)
        stream = io.BytesIO()
        Image.fromarray(squares.repeat(16, 0).repeat(16, 1)).save(stream, "PNG")
        (folder / f"images/{number:03}.png").write_bytes(stream.getvalue())
        words = " ".join(f"{where}{name}" for where, name in zip(("nw", "ne", "sw", "se"), names, strict=True))
        rows.append(f"images/{number:03}.png\t{words}")
    table = folder / "captions.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table


def write_towers(folder):
    """Registers two towers and writes their weights; returns them as `--towers` has them, the blinder one first."""
    tiny_tower.register_tiny_tower()
    second_tower.register_second_tower()
    good, blind = folder / "good.npz", folder / "blind.npz"
    tiny_tower.write_weights(good)
    kernel = np.zeros(((second_tower.SIZE // tiny_tower.PATCH) ** 2 * 3, tiny_tower.WIDTH), np.float32)
    kernel[:3] = 0.1  # of one corner it sees how bright it is
    np.savez(blind, kernel=kernel)
    return f"{second_tower.NAME}@{blind},{tiny_tower.NAME}@{good}"


def options(folder, table, **more):
    """Returns options of a small comparison."""
    given = {"rows": 120, "trainings": 2, "batch_size": 8, "output": str(folder / "out")}
    return ChooseOptions(
        source=SourceSpec(str(table)),
        towers=write_towers(folder),
        decoding=DecodingOptions(decode_in="threads", decode_workers=2),
        **{**given, **more},
    )
