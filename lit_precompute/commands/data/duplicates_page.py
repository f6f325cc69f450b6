"""A page of pairs around the threshold, as one HTML file without a script.

Promises: from 320 pixels wide upwards nothing overlaps or scrolls sideways, light or dark as the reader's system is.
Keys and texts are shown, not obeyed. An image that is not found is a box that says so.
"""

import base64
import posixpath
from collections.abc import Mapping, Sequence

from lit_precompute.commands.pages import make_page, shown
from lit_precompute.pipelines.deduplicate.examples import Compared, Example, ExamplePair
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted

_BARS_BELOW = 0.25  # bars of the histogram begin so far below the threshold
_STYLE = """
h2 { font-size: 1.125rem; margin: 2.5rem 0 .3rem } h3 { font-size: .9375rem; margin: 1.6rem 0 .6rem }
.bars { list-style: none; margin: .8rem 0 0; padding: 0; max-width: 40rem; font-variant-numeric: tabular-nums }
.bars li { display: grid; grid-template-columns: 2.6rem minmax(0, 1fr) 4.6rem; gap: .6rem; align-items: center;
  line-height: 1.3; font-size: .8125rem }
.bars li > :last-child { text-align: right }
.bar { height: .7rem; background: var(--quiet); border-radius: .15rem; min-width: 1px }
.similar .bar { background: var(--odd) } .similar { color: var(--odd) }
.pairs { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)) }
.pairs > li { padding: .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  break-inside: avoid }
.pairs > li.similar { border-color: var(--odd); color: inherit }
.cosine { font-weight: 600; font-variant-numeric: tabular-nums; margin-bottom: .5rem }
.similar .cosine { color: var(--odd) }
.two { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .8rem }
.two > div { display: flex; flex-direction: column; gap: .3rem } .two .image { height: 9rem }
"""

Thumbnails = Mapping[str, bytes | None]


def make_duplicates_page(
    selection: Selection, compared: Sequence[Compared], images: Mapping[str | None, Thumbnails]
) -> bytes:
    """Returns the page.

    Args:
      selection: the rows that stay.
      compared: what they were compared with, and pairs.
      images: thumbnails by key, for the path of each evaluation dataset and, under None, of the dataset; none where
        images were not asked for.
    """
    made_by = selection.made_by
    name = posixpath.basename(str(made_by["path"])) or str(made_by["path"])
    threshold = float(made_by["deduplicated"]["threshold"])
    about = (
        f"{made_by['num_removed']:,} of {counted(made_by['num_rows'], 'row')} removed at a cosine of at least "
        f"{threshold:g}. Pairs are drawn at random from each hundredth; what is removed is marked."
    )
    sections = "".join(_section(each, threshold, images) for each in compared)
    title = f"Near-duplicates of {name}"
    return make_page(title, _STYLE, f"<header><h1>{shown(title)}</h1><p>{about}</p></header>{sections}")


def _section(compared: Compared, threshold: float, images: Mapping[str | None, Thumbnails]) -> str:
    counts = compared.counts
    if compared.path is None:
        title = "Within the dataset"
        words = f"{counted(counts['removed'], 'row')} removed, for which {counts['groups']:,} earlier ones stay"
    else:
        title = f"Against {posixpath.basename(compared.path) or compared.path}"
        there = f"{counts['matched']:,} of {counted(counts['num_rows'], 'row')} matched there"
        words = f"{counted(counts['removed'], 'row')} removed here, {there}"
    above = [pair for pair in reversed(compared.pairs) if pair.cosine >= threshold]
    below = [pair for pair in reversed(compared.pairs) if pair.cosine < threshold]

    def cards_of(heading: str, pairs: Sequence[ExamplePair]) -> str:
        cards = "".join(_card(pair, compared.path, threshold, images) for pair in pairs)
        return f'<h3>{heading} {threshold:g}</h3><ol class="pairs">{cards}</ol>' if pairs else ""

    cards = cards_of("At or above", above) + cards_of("Below", below)
    return f"<h2>{shown(title)}</h2><p>{words}</p>{_bars(counts['histogram'], threshold)}{cards}"


def _bars(histogram: Mapping[str, int], threshold: float) -> str:
    """Returns the histogram of nearest cosines, the largest first, from a little below the threshold."""
    shown_bins = [(float(low), count) for low, count in histogram.items() if float(low) >= threshold - _BARS_BELOW]
    most = max((count for _, count in shown_bins), default=1)
    rows = "".join(
        f"<li{_class(low + 0.005 >= threshold)}><span>{low:.2f}</span>"
        f'<div class="bar" style="width:{100 * count / most:.1f}%"></div><span>{count:,}</span></li>'
        for low, count in sorted(shown_bins, reverse=True)
    )
    return f'<ol class="bars" aria-label="rows by their nearest cosine">{rows}</ol>'


def _card(pair: ExamplePair, path: str | None, threshold: float, images: Mapping[str | None, Thumbnails]) -> str:
    sides = _side(pair.row, images.get(None)) + _side(pair.other, images.get(path))
    return (
        f'<li{_class(pair.cosine >= threshold)}><p class="cosine">{pair.cosine:.4f}</p>'
        f'<div class="two">{sides}</div></li>'
    )


def _side(example: Example, thumbnails: Thumbnails | None) -> str:
    texts = "".join(f'<p class="quiet" dir="auto">{shown(text)}</p>' for text in example.texts)
    return f'<div>{_image(example.key, thumbnails)}<p class="key">{shown(example.key)}</p>{texts}</div>'


def _image(key: str, thumbnails: Thumbnails | None) -> str:
    if thumbnails is None:
        return ""
    png = thumbnails.get(key)
    if png is None:
        return '<div class="image gone">no image</div>'
    return f'<img class="image" src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{shown(key)}">'


def _class(is_similar: bool) -> str:
    return ' class="similar"' if is_similar else ""
