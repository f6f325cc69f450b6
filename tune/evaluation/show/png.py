"""A page of matches as one PNG, by matplotlib: images with texts on the left, texts with images on the right.

Promises: nothing overlaps; a text that is too long for its place ends in an ellipsis. Right answers have a tick or a
frame. Control characters and direction marks are shown, not obeyed. What DejaVu Sans lacks (most emoji, Chinese) is a
box; the HTML page has the reader's own fonts.
"""

import bisect
import io
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from lit_precompute.schemas.wording import visible
from lit_precompute.tune.evaluation.show.page import Match, Page

_INK, _RIGHT, _QUIET, _GONE = "#1d1d1f", "#137a3e", "#6e6e73", "#d9d9d9"
_DPI = 110
_LINE_LETTERS = 250  # more than a line holds

# In inches.
_WIDTH, _MARGIN, _ROW, _SIDE, _LINE = 13.0, 0.25, 1.05, 0.92, 0.19
_TEXTS, _TEXTS_WIDTH = 1.3, 4.75  # the texts of an image: tick, figure, words
_ASKED, _ASKED_WIDTH = 6.35, 1.9  # a text
_ANSWERS, _ANSWERS_WIDTH = 8.4, 4.35  # its images


def make_png(page: Page) -> bytes:
    """Returns the page as a PNG file."""
    num_texts = max((len(matches) for _, matches in page.of_images), default=0)
    row_height = max(_ROW, num_texts * _LINE + 0.15)
    title = _lines(page.title, 3, _WIDTH - 2 * _MARGIN, _font(14.0, "bold"))
    header = 0.65 + 0.26 * len(title)
    num_rows = max(len(page.of_images), len(page.of_texts))
    sheet = _Sheet(header + num_rows * row_height + _MARGIN)
    sheet.write(_MARGIN, 0.2 + 0.13 * len(title), "\n".join(title), _font(14.0, "bold"), color=_INK)
    legend = "Similarities are cosines. ✓ and a frame mark what belongs together."
    sheet.write(_MARGIN, 0.4 + 0.26 * len(title), legend, _font(9.0), color=_QUIET)
    for row, (key, matches) in enumerate(page.of_images):
        middle = header + (row + 0.5) * row_height
        sheet.draw(_MARGIN, middle, _SIDE, page.thumbnails.get(key))
        _write_texts(sheet, middle, matches)
    for row, (text, matches) in enumerate(page.of_texts):
        middle = header + (row + 0.5) * row_height
        words = "\n".join(_lines(text, 5, _ASKED_WIDTH, _font()))
        sheet.write(_ASKED, middle, words, _font(), color=_INK)
        _draw_images(sheet, middle, page, matches)
    return sheet.png()


def _write_texts(sheet: "_Sheet", middle: float, matches: list[Match]) -> None:
    for place, match in enumerate(matches):
        top = middle + (place - (len(matches) - 1) / 2) * _LINE
        font = _font(weight="bold" if match.is_right else "normal")
        color = _RIGHT if match.is_right else _INK if place == 0 else _QUIET
        if match.is_right:
            sheet.write(_TEXTS, top, "✓", font, color=color)
        sheet.write(_TEXTS + 0.6, top, f"{match.similarity:z.2f}", font, color=color, ha="right")
        words = "".join(_lines(match.name, 1, _TEXTS_WIDTH - 0.7, font))
        sheet.write(_TEXTS + 0.7, top, words, font, color=color)


def _draw_images(sheet: "_Sheet", middle: float, page: Page, matches: list[Match]) -> None:
    step = min(_SIDE + 0.08, _ANSWERS_WIDTH / max(len(matches), 1))
    for place, match in enumerate(matches):
        thumbnail = page.thumbnails.get(match.name)
        sheet.draw(_ANSWERS + place * step, middle, 0.92 * step, thumbnail, frame=_RIGHT if match.is_right else None)


class _Sheet:
    """A white figure on which places are inches from the left and from the top."""

    def __init__(self, height: float):
        self._figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self._figure)
        self._height = height

    def write(self, left: float, middle: float, words: str, font: FontProperties, **style: Any) -> None:
        """Writes lines that begin at `left`, centred on `middle`."""
        x, y = left / _WIDTH, 1 - middle / self._height
        self._figure.text(x, y, words, fontproperties=font, va="center", parse_math=False, **style)

    def draw(self, left: float, middle: float, side: float, png: bytes | None, frame: str | None = None) -> None:
        """Draws an image into a square, or a grey square where there is none."""
        place = (left / _WIDTH, 1 - (middle + side / 2) / self._height, side / _WIDTH, side / self._height)
        axes = self._figure.add_axes(place, xticks=[], yticks=[], frame_on=frame is not None)
        image = Image.new("RGB", (8, 8), _GONE) if png is None else Image.open(io.BytesIO(png)).convert("RGB")
        axes.imshow(np.asarray(image), interpolation="antialiased")
        for spine in axes.spines.values():
            spine.set(color=frame, linewidth=2)

    def png(self) -> bytes:
        """Returns the figure as a PNG file."""
        stream = io.BytesIO()
        self._canvas.print_png(stream)
        return stream.getvalue()


def _font(size: float = 8.5, weight: str = "normal") -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=size, weight=weight)


def _lines(text: str, num_lines: int, width: float, font: FontProperties) -> list[str]:
    """Returns a text in at most so many lines of at most this width in inches; an ellipsis says that there is more."""
    renderer = RendererAgg(1, 1, _DPI)

    def fits(words: str) -> bool:
        return renderer.get_text_width_height_descent(words, font, ismath=False)[0] <= width * _DPI

    rest = " ".join(_drawable(visible(text[: num_lines * _LINE_LETTERS]), font).split())
    lines: list[str] = []
    while rest and len(lines) < num_lines:
        if len(rest) <= _LINE_LETTERS and fits(rest):
            return [*lines, rest]
        mark = "…" if len(lines) + 1 == num_lines else ""
        end = _end_of_line(rest[:_LINE_LETTERS], lambda words, mark=mark: fits(words + mark))
        lines.append(rest[:end].rstrip() + mark)
        rest = rest[end:].lstrip()
    return lines


def _drawable(text: str, font: FontProperties) -> str:
    """Returns a text with a box for each letter that the font lacks, and without marks that it lacks."""
    has = get_font(findfont(font)).get_char_index
    missing = {letter for letter in set(text) if not letter.isspace() and not has(ord(letter))}
    boxes = {ord(letter): "" if unicodedata.category(letter)[0] in "MC" else "□" for letter in missing}
    return text.translate(boxes)


def _end_of_line(words: str, fits: Callable[[str], bool]) -> int:
    """Returns where the first line ends: at a space, or within a word that fills the line."""
    end = max(1, bisect.bisect_left(range(1, len(words)), True, key=lambda length: not fits(words[:length])))
    space = words.rfind(" ", 1, end + 1)
    return end if space == -1 else space
