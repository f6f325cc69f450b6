"""What HTML pages share: colours, type, and text that is shown, not obeyed."""

import html
import os
import pathlib

from lit_precompute.schemas.storage import refuse_url
from lit_precompute.schemas.wording import visible

# Contrast is at least 4.5:1 for all text on both grounds (WCAG 2, level AA).
STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --quiet: #63636a; --line: #d4d4da; --odd: #9b2c13;
  --ground: #f6f6f8; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2f2f4; --quiet: #a5a5ad; --line: #45454c; --odd: #ff9d7e; --ground: #161618; --card: #212124 } }
* { box-sizing: border-box }
body { font: .9375rem/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 96rem;
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 } header p { color: var(--quiet); margin: .4rem 0 0 }
.image { display: flex; align-items: center; justify-content: center; width: 100%; height: 12rem; object-fit: contain;
  border: 1px solid var(--line); border-radius: .4rem; background: #fff }
.gone { background: none; border-style: dashed; color: var(--odd); padding: .5rem; text-align: center }
.key { font-weight: 600 } .quiet { color: var(--quiet); font-size: .8125rem }
p { margin: 0 }
"""


def make_page(title: str, style: str, body: str) -> bytes:
    """Returns a page as a UTF-8 HTML file.

    Args:
      title: any text.
      style: CSS that follows `STYLE`.
      body: HTML.
    """
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{shown(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{style}</style>{body}</html>\n"
    ).encode()


def shown(text: str) -> str:
    """Returns any text as HTML, for an element or an attribute."""
    return html.escape(visible(text), quote=True)


def check_page(flag: str, path: str) -> None:
    """Raises ValueError if a page cannot be written to the path that a flag gives."""
    refuse_url(flag, path)
    if pathlib.Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{flag} must end in .html, got {path!r}")
    if os.path.isdir(path):  # noqa: PTH112 -- pathlib's raises an error if a name is too long
        raise ValueError(f"{flag} {path}: is a folder; give the path of a file")
