"""Tables whose quotes, encodings or lines are broken; their images are beside them or nowhere."""

import gzip
import json

from tests.faults.hostile.contents import Content

# What the test puts beside the tables.
BESIDE = ("beside/0.png", "beside/1.png", "beside/2.png")
_PATHS = (
    *BESIDE,
    "../../../../etc/passwd",
    "/etc/hostname",
    "beside/../beside/0.png",
    "file:///etc/passwd",
    "beside\\1.png",
    "",
    "beside",
    "beside/nowhere.png",
    "\0",
    "http://127.0.0.1:1/x.png",
)


def _rows(draw, count=12):
    return [
        [draw.choice(_PATHS[:3]) if number < 3 else draw.choice(_PATHS[:-1]), f"t {number}"] for number in range(count)
    ]


def _lines(draw, separator):
    return [separator.join(row) for row in [["path", "text"], *_rows(draw)]]


def quotes(draw):
    """Quotes that are never closed, stray, doubled, or around line breaks."""
    suffix, separator = draw.choice(((".csv", ","), (".tsv", "\t")))
    lines = _lines(draw, separator)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(1, len(lines))
        place = draw.randint(0, len(lines[at]))
        lines[at] = (
            lines[at][:place]
            + draw.choice(('"', '""', '"a\nb"', "'", '\\"', f'"{separator}', "\r", "\x0b"))
            + lines[at][place:]
        )
    return Content(suffix, "\n".join(lines).encode())


def encodings(draw):
    """Bytes that are not UTF-8, marks of a byte order, NULs."""
    suffix, separator = draw.choice(((".csv", ","), (".tsv", "\t")))
    text = "\n".join([*_lines(draw, separator), separator.join(["beside/0.png", "naïve ☂"])])
    made = (
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-16-be"),
        lambda: text.encode("latin-1", "replace"),
        lambda: b"\xef\xbb\xbf" + text.encode(),
        lambda: text.encode().replace(b"t 5", b"t\x005"),
        lambda: text.encode().replace(b"t 5", draw.randbytes(5)),
        lambda: text.encode() + b"\xff\xfe",
        lambda: text.encode("utf-7"),
        lambda: draw.randbytes(2000),
        lambda: b"\0" * 5000,
    )
    return Content(suffix, draw.choice(made)())


def long_lines(draw):
    """Lines of many megabytes, compressed; of many columns; and far too many of them."""
    length = draw.choice((1 << 20, 20 << 20, 70 << 20))
    made = (
        lambda: b"path,text\nbeside/0.png," + b"x" * length + b"\nbeside/1.png,b\n",
        lambda: b"path,text\n" + b"," * length,
        lambda: b"path,text" + b",c" * 20_000 + b"\nbeside/0.png,a" + b"," * 20_000,
        lambda: b'path,text\nbeside/0.png,"' + b"\n" * length,
        lambda: b"x" * length,
        lambda: b"path,text\n" + b"\n" * length + b"beside/0.png,a\n",
    )
    return Content(".csv.gz", gzip.compress(draw.choice(made)(), 1, mtime=0))


def json_lines(draw):
    """Lines that are no objects, nested too deeply, with endless numbers, or of other types than last time."""
    lines = [json.dumps({"path": path, "text": text}) for path, text in _rows(draw)]
    hostile = (
        "{",
        "[1, 2]",
        "null",
        '{"path": "beside/0.png", "text": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"path": "beside/1.png", "text": ' + "9" * 10_000 + "}",
        '{"path": "beside/2.png", "text": "\\ud800"}',
        '{"path": {"a": 1}, "text": "t"}',
        '{"path": ["beside/0.png"], "text": 1e999}',
        '{"text": "no path"}',
        '{"path": "beside/0.png", "path": "beside/1.png"}',
        '{"path": NaN}',
        '{"path": "beside/0.png", "text": {"a": [null]}}',
        "\ufeff{}",
    )
    for _ in range(draw.randint(1, 3)):
        lines.insert(draw.randrange(len(lines)), draw.choice(hostile))
    return Content(".jsonl", "\n".join(lines).encode("utf-8", "surrogatepass"))
