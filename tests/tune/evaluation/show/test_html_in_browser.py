"""The page of matches as a browser lays it out: narrow and wide, light and dark."""

import pytest

from lit_precompute.tune.evaluation.show.html import make_html
from tests import browser
from tests.tune.evaluation.show.making import HOSTILE, SHOWN, hard_page, hostile_page

browser.require()

WIDTHS = (320, 360, 800, 1200, 1920)
SIZES = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
at_each_size = pytest.mark.parametrize("size", SIZES, ids=[f"{width}-{scheme}" for width, scheme in SIZES])

# What the texts and images of the page cover: of texts the letters, wherever their boxes end.
_MEASURE = """
const covered = element => {
  if (element.matches(".image")) return element.getBoundingClientRect();
  const range = document.createRange();
  range.selectNodeContents(element);
  return range.getBoundingClientRect();
};
const lines = element => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const rects = [...range.getClientRects()];
  return rects.every(rect => rect.top < rects[0].bottom && rects[0].top < rect.bottom) ? 1 : rects.length;
};
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const background = element => {
  const color = numbers(window.getComputedStyle(element).backgroundColor);
  return color.length === 4 && color[3] === 0 ? background(element.parentElement) : color;
};
const luminance = color => {
  const [r, g, b] = color.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = element => {
  const both = [numbers(window.getComputedStyle(element).color), background(element)].map(luminance);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
};
const describe = element => `${element.className || element.localName}: ${element.textContent.slice(0, 30)}`;
const items = [...document.querySelectorAll("h1, h2, p, .text, .number, .image")];
const rects = items.map(covered);
const overlaps = [], outside = [];
items.forEach((item, i) => {
  const card = (item.closest(".card") || document.documentElement).getBoundingClientRect();
  if (rects[i].left < card.left - 1 || rects[i].right > card.right + 1 || rects[i].bottom > card.bottom + 1)
    outside.push(describe(item));
  for (let j = 0; j < i; j++)
    if (Math.min(rects[i].right, rects[j].right) - Math.max(rects[i].left, rects[j].left) > 1 &&
        Math.min(rects[i].bottom, rects[j].bottom) - Math.max(rects[i].top, rects[j].top) > 1)
      overlaps.push(`${describe(items[j])} | ${describe(item)}`);
});
return {
  overlaps, outside,
  broken: [...document.querySelectorAll(".number")].filter(number => lines(number) > 1).map(describe),
  scrolls: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  sides: [...new Set([...document.querySelectorAll(".image")].map(e => `${e.offsetWidth}x${e.offsetHeight}`))].sort(),
  contrast: Math.min(...items.filter(item => item.textContent).map(contrast)),
  ground: luminance(background(document.body)),
  unmarked: [...document.querySelectorAll(".right")].filter(e => !e.textContent.includes("✓")).length,
  marked: [...document.querySelectorAll("li:not(.right)")].filter(e => e.textContent.includes("✓")).length,
  counts: [".right", ".number", ".image"].map(name => document.querySelectorAll(name).length),
};
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Returns what the browser measures of the hard page, by (width, scheme)."""
    return browser.measure(make_html(hard_page()).decode(), _MEASURE, WIDTHS, tmp_path_factory.mktemp("browser"))


@at_each_size
def test_figures_stay_on_one_line(measured, size):
    assert measured[size]["broken"] == []
    assert measured[size]["counts"][1] == 4 * 12 + 8 * 12


@at_each_size
def test_nothing_overlaps_or_leaves_its_card_or_scrolls_sideways(measured, size):
    assert measured[size]["overlaps"] == []
    assert measured[size]["outside"] == []
    assert measured[size]["scrolls"] <= 0


@at_each_size
def test_thumbnails_keep_their_size(measured, size):
    assert measured[size]["sides"] == ["104x104", "80x80"]


@at_each_size
def test_text_has_contrast_on_the_readers_ground(measured, size):
    assert measured[size]["contrast"] >= 4.5
    assert measured[size]["ground"] < 0.05 if size[1] == "dark" else measured[size]["ground"] > 0.8


def test_right_answers_are_marked_not_by_colour_alone(measured):
    assert measured[SIZES[0]]["unmarked"] == measured[SIZES[0]]["marked"] == 0
    assert measured[SIZES[0]]["counts"][0] == 4 * 12 // 3 + 8 * 12 // 3


_INSPECT = """
const texts = [...document.querySelectorAll(".text")];
return {
  stolen: window.stolen === undefined ? null : window.stolen,
  elements: ["script", "b", "i", "u", "img"].map(name => document.querySelectorAll(name).length),
  handlers: [...document.querySelectorAll("*")].flatMap(e => e.getAttributeNames()).filter(n => n.startsWith("on")),
  title: document.querySelector("h1").textContent,
  texts: [...new Set(texts.map(e => e.textContent))],
  alts: [...new Set([...document.querySelectorAll("img")].map(e => e.alt))],
  bidi: [...new Set(texts.map(e => window.getComputedStyle(e).unicodeBidi))],
  figures: [...new Set([...document.querySelectorAll(".number")].map(e => e.textContent))],
};
"""


def test_hostile_texts_and_keys_are_only_shown(tmp_path):
    (seen,) = {str(each): each for each in _inspect(tmp_path).values()}.values()
    assert seen["stolen"] is None
    assert seen["elements"] == [0, 0, 0, 0, 5 * 4 + 4]  # a thumbnail for each key but the lost one, and in each answer
    assert seen["handlers"] == []
    assert seen["title"] == HOSTILE[2]
    assert sorted(seen["texts"]) == sorted(SHOWN)
    assert sorted(seen["alts"]) == sorted(set(SHOWN) - {HOSTILE[1]})
    assert seen["bidi"] == ["isolate"]  # a text that runs backwards turns nothing else around
    assert seen["figures"] == ["0.50"]


def _inspect(folder):
    return browser.measure(make_html(hostile_page()).decode(), _INSPECT, (800,), folder)
