"""A contact sheet: the first rows of a source with their images, as one HTML file without a script.

Promises: from 320 pixels wide upwards nothing overlaps or scrolls sideways, light or dark as the reader's system is.
Keys and texts are shown, not obeyed: neither markup nor marks that change the direction of text.
"""

from __future__ import annotations

import base64
import html
import io
import os
import pathlib

from PIL import Image

from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.inspection import InspectedImage, InspectedRow, Inspection
from lit_precompute.precompute.sources.opening import files_in_words
from lit_precompute.schemas.storage import refuse_url, write_bytes_atomically
from lit_precompute.schemas.wording import counted, visible

_SIDE = 320
# Contrast is at least 4.5:1 for all text on both grounds (WCAG 2, level AA).
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --quiet: #63636a; --line: #d4d4da; --odd: #9b2c13;
  --ground: #f6f6f8; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2f2f4; --quiet: #a5a5ad; --line: #45454c; --odd: #ff9d7e; --ground: #161618; --card: #212124 } }
* { box-sizing: border-box }
body { font: .9375rem/1.45 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 96rem;
  margin: 0 auto; padding: clamp(1rem, 3vw, 2.5rem); overflow-wrap: anywhere; -webkit-text-size-adjust: 100% }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 } header p { color: var(--quiet); margin: .4rem 0 0 }
.odd { color: var(--odd); margin: 1rem 0 0; padding: 0 0 0 1.2rem }
ol { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)) }
ol > li { display: flex; flex-direction: column; gap: .5rem; padding: .9rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; break-inside: avoid }
.image { display: flex; align-items: center; justify-content: center; width: 100%; height: 12rem; object-fit: contain;
  border: 1px solid var(--line); border-radius: .4rem; background: #fff }
.gone { background: none; border-style: dashed; color: var(--odd); padding: .5rem; text-align: center }
.key { font-weight: 600 } .quiet { color: var(--quiet); font-size: .8125rem }
p { margin: 0 }
"""


def check_sheet(path: str) -> None:
    """Raises ValueError if a page cannot be written to a path."""
    refuse_url("--sheet", path)
    if pathlib.Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--sheet must end in .html, got {path!r}")
    if os.path.isdir(path):  # noqa: PTH112 -- pathlib's raises an error if a name is too long
        raise ValueError(f"--sheet {path}: is a folder; give the path of a file")


def write_sheet(found: Inspection, path: str) -> None:
    """Writes the page."""
    write_bytes_atomically(pathlib.Path(path), make_sheet(found))


def make_sheet(found: Inspection) -> bytes:
    """Returns the page as a UTF-8 HTML file."""
    title = _shown(found.path)
    rows = "" if found.num_rows is None else f"{'' if found.is_exact else 'about '}{counted(found.num_rows, 'row')} in "
    rows += files_in_words(found.format, found.num_files)
    about = f"{_shown(found.format)}, {rows}; the first {len(found.rows):,} rows"
    odd = "".join(f"<li>{_shown(oddity)}</li>" for oddity in found.oddities)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><header><h1>{title}</h1><p>{about}</p></header>"
        f"{f'<ul class=odd>{odd}</ul>' if odd else ''}<ol>{''.join(map(_card, found.rows))}</ol></html>\n"
    ).encode()


def _card(row: InspectedRow) -> str:
    texts = "".join(f'<p dir="auto">{_shown(text)}</p>' for text in row.texts)
    named = {"label": (row.label,) if row.label else (), **row.named}
    more = "".join(
        f'<p class="quiet" dir="auto">{_shown(name)}: {_shown(", ".join(values))}</p>'
        for name, values in named.items()
        if values
    )
    return f'<li>{_image(row.image, row.key)}<p class="key">{_shown(row.key)}</p>{texts}{more}</li>'


def _image(image: InspectedImage, key: str) -> str:
    fault = image.fault
    if image.data is not None:
        try:
            data = base64.b64encode(_thumbnail(image.data)).decode()
            shown = f'<img class="image" src="data:image/jpeg;base64,{data}" alt="{_shown(key)}">'
            return f'{shown}<p class="quiet">{_shown(image.words)}</p>'
        except ImageError as error:
            fault = f"{error.reason}: {error}"
    return f'<div class="image gone">{_shown(fault or "no image")}</div>'


def _thumbnail(data: bytes) -> bytes:
    image = Image.fromarray(decode(data))
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _shown(text: str) -> str:
    """Returns any text as HTML, for an element or an attribute."""
    return html.escape(visible(text), quote=True)
