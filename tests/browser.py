"""A page in headless Chromium: what a script measures in it, at several widths, light and dark."""

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Frames have a width and a colour scheme of their own, and media queries follow them: one start measures all.
_HARNESS = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="result"></pre><script>
const measure = (document, window) => {{ {script} }};
addEventListener("load", () => {{
  const measured = {{}};
  for (const frame of document.querySelectorAll("iframe"))
    measured[frame.id] = measure(frame.contentDocument, frame.contentWindow);
  document.getElementById("result").textContent = JSON.stringify(measured);
}});
</script>"""


def require() -> None:
    """Skips the module that calls it, in one line, where no browser is installed; in CI that is an error."""
    if _find() is None:
        reason = "no Chromium here, so pages are not tested in a browser (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            raise FileNotFoundError(reason)
        pytest.skip(reason, allow_module_level=True)


def measure(page: str, script: str, widths: tuple[int, ...], folder: pathlib.Path) -> dict[tuple[int, str], Any]:
    """Returns by (width in pixels, "light" or "dark") what the body of a JavaScript function returns in the page.

    Args:
      page: HTML.
      script: the function's body; its parameters are `document` and `window`.
      widths: of the window.
      folder: an empty folder to work in.
    """
    sizes = [(width, scheme) for width in widths for scheme in ("light", "dark")]
    frames = "".join(
        f'<iframe id="{width} {scheme}" style="width:{width}px; height:900px; border:0; color-scheme:{scheme}" '
        f'srcdoc="{html.escape(page)}"></iframe>'
        for width, scheme in sizes
    )
    (folder / "harness.html").write_text(_HARNESS.format(frames=frames, script=script), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    command = [str(_find()), *options, (folder / "harness.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    result = re.search(r'<pre id="result">(.+?)</pre>', done.stdout)
    assert result, f"exit status {done.returncode}, the script returned nothing: {done.stderr[-2000:]}"
    measured = json.loads(html.unescape(result[1]))
    return {(width, scheme): measured[f"{width} {scheme}"] for width, scheme in sizes}


def _find() -> str | None:
    return next((path for path in map(shutil.which, _NAMES) if path), None)
