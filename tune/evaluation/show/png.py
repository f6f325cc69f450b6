"""A page of matches as one PNG, by matplotlib: pictures with texts on the left, texts with pictures on the right."""

import io
import textwrap
import warnings

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from PIL import Image

from lit_precompute.tune.evaluation.show.page import Match, Page

_INK, _RIGHT, _QUIET = "#1d1d1f", "#137a3e", "#6e6e73"
_ROW_INCHES, _DPI = 1.05, 110


def make_png(page: Page) -> bytes:
    """Returns the page as a PNG file."""
    num_rows = max(len(page.of_images), len(page.of_texts))
    num_best = max((len(matches) for _, matches in page.of_texts), default=1)
    with matplotlib.rc_context({"font.family": ["DejaVu Sans"]}), warnings.catch_warnings():
        # What matplotlib's font lacks shows as boxes; the HTML page has the reader's own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(13, 0.8 + num_rows * _ROW_INCHES), dpi=_DPI, facecolor="white")
        widths = [1, 3.6, 0.3, 2.3] + [1] * num_best
        grid = figure.add_gridspec(
            num_rows, len(widths), width_ratios=widths, left=0.02, right=0.98, top=0.9, bottom=0.02
        )
        figure.text(0.02, 0.95, page.title, size=14, weight="bold", color=_INK)
        for row, (key, matches) in enumerate(page.of_images):
            _draw_picture(_axes(figure, grid[row, 0]), page, key, is_right=False)
            _draw_texts(_axes(figure, grid[row, 1]), matches)
        for row, (text, matches) in enumerate(page.of_texts):
            words = textwrap.shorten(text, 72, placeholder=" …")
            axes = _axes(figure, grid[row, 3])
            axes.text(0, 0.5, textwrap.fill(words, 26), va="center", size=8.5, color=_INK, parse_math=False)
            for place, match in enumerate(matches):
                _draw_picture(_axes(figure, grid[row, 4 + place]), page, match.name, is_right=match.is_right)
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()


def _axes(figure: Figure, place: SubplotSpec) -> Axes:
    axes = figure.add_subplot(place)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)
    return axes


def _draw_picture(axes: Axes, page: Page, key: str, *, is_right: bool) -> None:
    png = page.thumbnails.get(key)
    pixels = (
        np.full((8, 8, 3), 217, np.uint8) if png is None else np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    )
    axes.imshow(pixels, interpolation="antialiased")
    if is_right:
        axes.set_frame_on(True)
        for spine in axes.spines.values():
            spine.set(color=_RIGHT, linewidth=2)


def _draw_texts(axes: Axes, matches: list[Match]) -> None:
    for place, match in enumerate(matches):
        words = textwrap.shorten(match.name, 52, placeholder=" …")
        color = _RIGHT if match.is_right else _INK if place == 0 else _QUIET
        weight = "bold" if match.is_right else "normal"
        text = f"{match.similarity:.2f}  {words}"
        axes.text(0.02, 0.9 - place * 0.2, text, size=8.5, va="center", parse_math=False, color=color, weight=weight)
