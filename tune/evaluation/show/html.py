"""A page of matches as one HTML file: images inside, no script, light or dark as the reader's system is.

Promises: from 320 pixels wide upwards nothing overlaps or scrolls sideways, figures stay on one line, and right answers
are marked by a tick, bold type and colour. Texts, keys and the title are shown, not obeyed: neither markup nor marks
that change the direction of text.
"""

import base64
import html

from lit_precompute.schemas.wording import visible
from lit_precompute.tune.evaluation.show.page import Match, Page

# Contrast is at least 4.5:1 for all text on both grounds (WCAG 2, level AA).
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --quiet: #63636a; --line: #d4d4da; --right: #116b37;
  --ground: #f6f6f8; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2f2f4; --quiet: #a5a5ad; --line: #45454c; --right: #5bd38a; --ground: #161618; --card: #212124 } }
* { box-sizing: border-box }
body { font: .9375rem/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 96rem;
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 } h2 { font-size: 1.125rem; margin: 2.5rem 0 1rem }
header p { color: var(--quiet); margin: .4rem 0 0 }
ol { list-style: none; margin: 0; padding: 0 }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem }
.texts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 32rem), 1fr)); gap: 1rem }
.card { display: grid; gap: .8rem 1.1rem; align-content: start; align-items: start; padding: .9rem;
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem; break-inside: avoid }
.images .card { --side: 6.5rem }
@media (min-width: 30rem) { .images .card { grid-template-columns: var(--side) minmax(0, 1fr) } }
.nearest-texts > li { display: grid; grid-template-columns: 4.2rem minmax(0, 1fr); gap: .6rem }
.nearest-texts > li + li { margin-top: .3rem }
.nearest-images { --side: 5rem; display: flex; flex-wrap: wrap; gap: .8rem }
.nearest-images > li { flex: none; width: var(--side); text-align: center }
.image { display: flex; align-items: center; justify-content: center; width: var(--side); height: var(--side);
  object-fit: contain; border: 2px solid var(--line); border-radius: .4rem; background: #fff }
.gone { background: none; border-style: dashed; color: var(--quiet); font-size: .75rem; line-height: 1.2;
  text-align: center }
.number { color: var(--quiet); font-variant-numeric: tabular-nums; white-space: nowrap; text-align: right }
.nearest-images .number { display: block; margin-top: .15rem; font-size: .8125rem; text-align: center }
.right, .right .number { color: var(--right); font-weight: 600 }
.right .image { border: 3px solid var(--right) }
"""


def make_html(page: Page) -> bytes:
    """Returns the page as a UTF-8 HTML file."""
    cards = "".join(_image_card(page, key, matches) for key, matches in page.of_images)
    rows = "".join(_text_card(page, text, matches) for text, matches in page.of_texts)
    title = _shown(page.title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><header><h1>{title}</h1>"
        "<p>Similarities are cosines. ✓ marks what belongs together.</p></header>"
        f'<h2>Images and their nearest texts</h2><div class="images">{cards}</div>'
        f'<h2>Texts and their nearest images</h2><div class="texts">{rows}</div></html>\n'
    ).encode()


def _image_card(page: Page, key: str, matches: list[Match]) -> str:
    items = "".join(f"<li{_class(match)}>{_number(match)}{_text(match.name)}</li>" for match in matches)
    return f'<div class="card">{_image(page, key)}<ol class="nearest-texts">{items}</ol></div>'


def _text_card(page: Page, text: str, matches: list[Match]) -> str:
    items = "".join(f"<li{_class(match)}>{_image(page, match.name)}{_number(match)}</li>" for match in matches)
    return f'<div class="card">{_text(text)}<ol class="nearest-images">{items}</ol></div>'


def _image(page: Page, key: str) -> str:
    name, png = _shown(key), page.thumbnails.get(key)
    if png is None:
        return f'<div class="image gone" title="{name}: can no longer be read">no image</div>'
    return (
        f'<img class="image" src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{name}" title="{name}">'
    )


def _text(text: str) -> str:
    # dir="auto": a caption in Arabic or Hebrew runs from right to left.
    return f'<div class="text" dir="auto">{_shown(text)}</div>'


def _shown(text: str) -> str:
    """Returns any text as HTML, for an element or an attribute."""
    return html.escape(visible(text), quote=True)


def _number(match: Match) -> str:
    mark = '<span role="img" aria-label="right">✓</span> ' if match.is_right else ""
    return f'<span class="number">{mark}{match.similarity:z.2f}</span>'


def _class(match: Match) -> str:
    return ' class="right"' if match.is_right else ""
