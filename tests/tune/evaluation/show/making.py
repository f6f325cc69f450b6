"""A page that is hard to lay out: long, unbroken and foreign texts, a lost image, many answers, negative figures."""

import io

from PIL import Image

from lit_precompute.tune.evaluation.show.page import Match, Page

TEXTS = [
    "a dog",
    "long " * 300,
    "unbroken" * 60,
    "https://example.org/" + "a/very/long/path/" * 20,
    "二羽の鳥が雪の積もった木の枝にとまっている写真" * 8,
    "قطة تجلس على حصيرة بجانب النافذة " * 6,
    "🏳️‍🌈👩‍👩‍👧‍👦🦊☂ " * 20,
    "$x_1^{$ and \\frac \t\n <b>tags</b> & {braces}",
]

# What a page must show, and not obey: markup, the end of an attribute, terminal escapes, a line that runs backwards.
HOSTILE = [
    "<script>window.stolen = 1</script>",
    "\"'><img src=x onerror='window.stolen = 2'>",
    "</title></style><b>bold</b> &lt;i&gt; &#60;u&#62;",
    "\x1b[2J\x1b]0;title\x07 cleared",
    "\u202ereversed \u2066isolated",
]
# How it is shown.
SHOWN = [*HOSTILE[:3], r"\x1b[2J\x1b]0;title\x07 cleared", r"\u202ereversed \u2066isolated"]


def hostile_page() -> Page:
    """Returns a page whose title, keys and texts are hostile; one image is lost."""
    matches = [Match(name=name, similarity=0.5, is_right=False) for name in HOSTILE]
    thumbnails: dict[str, bytes | None] = dict.fromkeys(HOSTILE, _png(8, 8)) | {HOSTILE[1]: None}
    asked = [(name, matches) for name in HOSTILE]
    return Page(title=HOSTILE[2], of_images=asked, of_texts=asked, thumbnails=thumbnails)


def hard_page(num_best: int = 12) -> Page:
    """Returns a page whose right answers are at every third place."""
    keys = [f"folder-{row}/{'name' * 20 * (row % 2)}{row}.png" for row in range(num_best)]
    sizes = [(128, 128), (128, 9), (9, 128), (40, 30)]
    thumbnails: dict[str, bytes | None] = {key: _png(*sizes[row % 4]) for row, key in enumerate(keys)}
    thumbnails[keys[1 % num_best]] = None
    return Page(
        title=f"dataset-{'name' * 30} $a_{{$: 12,345,678 images, 23,456,789 texts",
        of_images=[(key, _matches(TEXTS * 2, num_best)) for key in keys[:4]],
        of_texts=[(text, _matches(keys, num_best)) for text in TEXTS],
        thumbnails=thumbnails,
    )


def _matches(names: list[str], count: int) -> list[Match]:
    return [
        Match(name=name, similarity=0.5 - 0.12 * place, is_right=place % 3 == 0)
        for place, name in enumerate(names[:count])
    ]


def _png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(stream, "PNG")
    return stream.getvalue()
