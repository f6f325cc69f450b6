"""A contact sheet: the first rows of a source with their images, as one HTML file without a script.

Promises: from 320 pixels wide upwards nothing overlaps or scrolls sideways, light or dark as the reader's system is.
Keys and texts are shown, not obeyed: neither markup nor marks that change the direction of text.
"""

from __future__ import annotations

import base64
import io
import pathlib

from PIL import Image

from lit_precompute.commands.pages import make_page, shown
from lit_precompute.precompute.images.decoding import decode
from lit_precompute.precompute.images.errors import ImageError
from lit_precompute.precompute.sources.inspection import InspectedImage, InspectedRow, Inspection
from lit_precompute.precompute.sources.opening import files_in_words
from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.schemas.wording import counted

_SIDE = 320
_STYLE = """
.odd { color: var(--odd); margin: 1rem 0 0; padding: 0 0 0 1.2rem }
ol { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)) }
ol > li { display: flex; flex-direction: column; gap: .5rem; padding: .9rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; break-inside: avoid }
"""


def write_sheet(found: Inspection, path: str) -> None:
    """Writes the page."""
    write_bytes_atomically(pathlib.Path(path), make_sheet(found))


def make_sheet(found: Inspection) -> bytes:
    """Returns the page as a UTF-8 HTML file."""
    rows = "" if found.num_rows is None else f"{'' if found.is_exact else 'about '}{counted(found.num_rows, 'row')} in "
    rows += files_in_words(found.format, found.num_files)
    about = f"{shown(found.format)}, {rows}; the first {len(found.rows):,} rows"
    odd = "".join(f"<li>{shown(oddity)}</li>" for oddity in found.oddities)
    body = (
        f"<header><h1>{shown(found.path)}</h1><p>{about}</p></header>"
        f"{f'<ul class=odd>{odd}</ul>' if odd else ''}<ol>{''.join(map(_card, found.rows))}</ol>"
    )
    return make_page(found.path, _STYLE, body)


def _card(row: InspectedRow) -> str:
    texts = "".join(f'<p dir="auto">{shown(text)}</p>' for text in row.texts)
    named = {"label": (row.label,) if row.label else (), **row.named}
    more = "".join(
        f'<p class="quiet" dir="auto">{shown(name)}: {shown(", ".join(values))}</p>'
        for name, values in named.items()
        if values
    )
    return f'<li>{_image(row.image, row.key)}<p class="key">{shown(row.key)}</p>{texts}{more}</li>'


def _image(image: InspectedImage, key: str) -> str:
    fault = image.fault
    if image.data is not None:
        try:
            data = base64.b64encode(_thumbnail(image.data)).decode()
            element = f'<img class="image" src="data:image/jpeg;base64,{data}" alt="{shown(key)}">'
            return f'{element}<p class="quiet">{shown(image.words)}</p>'
        except ImageError as error:
            fault = f"{error.reason}: {error}"
    return f'<div class="image gone">{shown(fault or "no image")}</div>'


def _thumbnail(data: bytes) -> bytes:
    image = Image.fromarray(decode(data))
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()
