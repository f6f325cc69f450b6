"""The page of matches as a PNG: nothing overlaps, whatever the texts hold."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lit_precompute.tune.evaluation.show.page import Match, Page
from lit_precompute.tune.evaluation.show.png import make_png
from tests.tune.evaluation.show.making import SHOWN, TEXTS, hard_page, hostile_page

RIGHT = (0x13, 0x7A, 0x3E)


@pytest.fixture
def drawn(monkeypatch):
    """Returns a function that makes a page's PNG and returns the boxes of the page, its texts and its images."""
    figures = []
    make_figure = Figure.__init__

    def remember(self, *arguments, **options):
        make_figure(self, *arguments, **options)
        figures.append(self)

    monkeypatch.setattr(Figure, "__init__", remember)

    def draw(page):
        make_png(page)
        (figure,) = figures
        texts = [(text.get_text(), text.get_window_extent()) for text in figure.texts]
        return figure.bbox, texts, [("image", axes.get_window_extent()) for axes in figure.axes]

    return draw


@pytest.mark.parametrize("num_best", [1, 12])
def test_nothing_overlaps_or_leaves_the_page(drawn, num_best):
    page, texts, images = drawn(hard_page(num_best))
    boxes = [box for box in texts + images if box[0]]
    for place, (name, box) in enumerate(boxes):
        assert box.x0 >= page.x0 and box.x1 <= page.x1 and box.y0 >= page.y0 and box.y1 <= page.y1, name
        for other_name, other in boxes[:place]:
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            # Boxes of letters hold their whole line: a pixel or two of two lines' boxes may be the same.
            assert width <= 1 or height <= 2, f"{name!r} is over {other_name!r}"


def test_long_texts_are_shortened_and_never_lost(drawn):
    """Texts without spaces too; short ones are whole."""
    _, texts, _ = drawn(hard_page(1))
    words = [text for text, _ in texts]
    assert "a dog" in words
    assert any(text.startswith("unbrokenunbroken") and text.endswith("…") for text in words)
    assert any(text.startswith("□" * 10) and text.endswith("…") for text in words)
    assert any(text.startswith("long long") and text.count("\n") == 4 and text.endswith("…") for text in words)
    assert "$x_1^{$ and \\frac\n<b>tags</b> & {braces}" in words


def test_right_answers_have_a_tick_or_a_frame():
    matches = [Match(name=TEXTS[0], similarity=0.5, is_right=True), Match(name="b", similarity=-0.001, is_right=False)]
    page = Page(title="t", of_images=[("a", matches)], of_texts=[("b", matches)], thumbnails={})
    pixels = np.asarray(Image.open(io.BytesIO(make_png(page))).convert("RGB"))
    green = (pixels == RIGHT).all(axis=2)
    assert green[:, :660].sum() > 20
    assert green[:, 900:].sum() > 500
    no_answer = Page(title="t", of_images=[("a", matches[1:])], of_texts=[("b", matches[1:])], thumbnails={})
    pixels = np.asarray(Image.open(io.BytesIO(make_png(no_answer))).convert("RGB"))
    assert not (pixels == RIGHT).all(axis=2).any()


def test_a_figure_that_rounds_to_zero_has_no_sign(drawn):
    match = Match(name="b", similarity=-0.001, is_right=False)
    _, texts, _ = drawn(Page(title="t", of_images=[("a", [match])], of_texts=[], thumbnails={}))
    assert "0.00" in [text for text, _ in texts]


def test_control_characters_and_direction_marks_are_shown(drawn):
    _, texts, _ = drawn(hostile_page())
    words = {text for text, _ in texts}
    assert {SHOWN[0], *SHOWN[3:]} <= words
