"""A page of matches as one HTML file: pictures inside, no script, light or dark as the reader's system is."""

import base64
import html

from lit_precompute.tune.evaluation.show.page import Match, Page

_STYLE = """
:root { color-scheme: light dark;
  --ink: #1d1d1f; --quiet: #6e6e73; --line: #d9d9de; --right: #137a3e; --ground: #fbfbfd }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2f2f4; --quiet: #98989f; --line: #3a3a3f; --right: #4cc77e; --ground: #1a1a1d } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 66rem; margin: 2.5rem auto; padding: 0 1.5rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2.5rem 0 1rem }
p { color: var(--quiet); margin: .25rem 0 0 }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem }
.card { display: flex; gap: 1rem; border: 1px solid var(--line); border-radius: .6rem; padding: .9rem }
.card ol { list-style: none; margin: 0; padding: 0; min-width: 0; flex: 1 }
.card li { display: flex; gap: .6rem; justify-content: space-between; overflow-wrap: anywhere }
.row { border-top: 1px solid var(--line); padding: .8rem 0; display: flex; gap: 1.2rem; align-items: center }
.row .text { flex: 0 0 16rem; overflow-wrap: anywhere }
.best { display: flex; flex-wrap: wrap; gap: .8rem }
.picture { text-align: center; color: var(--quiet); font-size: .8rem; width: 5.2rem }
img, .none { width: 5rem; height: 5rem; object-fit: contain; border-radius: .4rem; background: #fff;
  border: 2px solid var(--line); box-sizing: border-box }
.none { background: var(--line) } .card img, .card .none { width: 6.5rem; height: 6.5rem; flex: none }
.right { color: var(--right); font-weight: 600 } .right img, .right .none { border-color: var(--right) }
.number { color: var(--quiet); font-variant-numeric: tabular-nums; font-weight: 400 }
"""


def make_html(page: Page) -> bytes:
    """Returns the page as a UTF-8 HTML file."""
    cards = "".join(_card(page, key, matches) for key, matches in page.of_images)
    rows = "".join(_row(page, text, matches) for text, matches in page.of_texts)
    title = html.escape(page.title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        "<p>Similarities are cosines. What belongs together is green.</p>"
        f'<h2>Pictures and their nearest texts</h2><div class="grid">{cards}</div>'
        f"<h2>Texts and their nearest pictures</h2>{rows}</html>\n"
    ).encode()


def _card(page: Page, key: str, matches: list[Match]) -> str:
    items = "".join(
        f"<li{_class(match)}><span>{html.escape(match.name)}</span>"
        f'<span class="number">{match.similarity:.2f}</span></li>'
        for match in matches
    )
    return f'<div class="card">{_picture(page, key)}<ol>{items}</ol></div>'


def _row(page: Page, text: str, matches: list[Match]) -> str:
    pictures = "".join(
        f'<div class="picture{" right" if match.is_right else ""}">{_picture(page, match.name)}'
        f'<div class="number">{match.similarity:.2f}</div></div>'
        for match in matches
    )
    return f'<div class="row"><div class="text">{html.escape(text)}</div><div class="best">{pictures}</div></div>'


def _picture(page: Page, key: str) -> str:
    name, png = html.escape(key, quote=True), page.thumbnails.get(key)
    if png is None:
        return f'<div class="none" title="{name}: cannot be read any more"></div>'
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{name}" title="{name}">'


def _class(match: Match) -> str:
    return ' class="right"' if match.is_right else ""
