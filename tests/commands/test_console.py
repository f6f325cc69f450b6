"""What lit-embed says while it fetches weights."""

import io

import rich.console

from lit_precompute.commands.console import DownloadDisplay


def _said(terminal, pieces):
    stream = io.StringIO()
    console = rich.console.Console(file=stream, force_terminal=terminal, width=120)
    with DownloadDisplay(console) as display:
        for piece in pieces:
            display.show(*piece)
    return stream.getvalue()


def test_a_line_for_each_file_where_there_is_no_terminal():
    pieces = [("a.npz", 1_000_000, 3_000_000), ("a.npz", 3_000_000, 3_000_000), ("b.npz", 5, 0)]
    assert _said(False, pieces) == "fetching a.npz (3 MB)\nfetching b.npz\n"


def test_a_bar_on_a_terminal():
    said = _said(True, [("a.npz", 1_000_000, 3_000_000)])
    assert "fetching a.npz" in said
    assert "1.0/3.0 MB" in said


def test_nothing_is_said_where_nothing_is_fetched():
    assert _said(True, []) == _said(False, []) == ""
