"""lit-data deduplicate: counts as in the paper's Table 6, on the terminal, as JSON and on a page."""

import json
import sys

import pytest
from PIL import Image

from lit_precompute.commands import data
from lit_precompute.schemas import DatasetWriter, SourceFile, SourceInfo, captions_table
from lit_precompute.schemas.sharing.selection import Selection
from tests import browser
from tests.precompute.duplicates.making import clusters, cosines, write_rows
from tests.schemas.making import card

ROWS, EVALUATION = clusters(150), clusters(40, seed=1)
HOSTILE = "<script>document.title = 'broken'</script>\u202e"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_rows(tmp_path / "rows", ROWS, texts=[[HOSTILE]] * len(ROWS))
    write_rows(tmp_path / "evaluation", EVALUATION, prefix="evaluation")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys, monkeypatch):
    """Returns a function that runs the command; it returns the status, the output and the messages."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lit-data", "deduplicate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as caught:
            data.main()
        return caught.value.code, *capsys.readouterr()

    return run


def test_prints_what_is_removed_here_and_matched_there(folder, run):
    similar = cosines(ROWS, EVALUATION) >= 0.95
    removed, matched = similar.any(axis=1).sum(), similar.any(axis=0).sum()
    status, printed, said = run("rows", "--against", "evaluation", "--output", "clean.selection")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert status == 0
    assert lines[0] == f"rows 150 = {150 - removed} rows that stay + {removed} removed ({removed / 150:.2%})"
    assert lines[1] == f"against {folder}/evaluation {removed} removed here, {matched} of 40 rows matched there"
    assert f"0.95 {removed}" in lines
    assert lines[-1] == "clean.selection"
    assert "6,000/6,000 pairs compared" in said
    assert Selection.open("clean.selection").num_selected == 150 - removed


def test_json_has_the_counts(folder, run):
    arguments = ("rows", "--against", "evaluation", "--within", "--threshold", "0.9", "--output", "x.selection")
    status, printed, _ = run(*arguments, "--json")
    found = json.loads(printed)
    similar = cosines(ROWS, EVALUATION) >= 0.9
    assert status == 0
    assert [(each["removed"], each["matched"]) for each in found["against"]] == [
        (similar.any(axis=1).sum(), similar.any(axis=0).sum())
    ]
    assert found["num_rows"] == found["num_selected"] + found["removed_against"] + found["within"]["removed"]
    assert sum(found["within"]["histogram"].values()) == 150


def _write_with_images(path, vectors, prefix):
    """Writes a dataset whose source is a table of images."""
    folder = path.parent / f"{prefix}-source"
    folder.mkdir()
    keys = [f"{prefix}-{row:03d}.png" for row in range(len(vectors))]
    for row, key in enumerate(keys):
        Image.new("RGB", (40, 20), (row, 0, 200)).save(folder / key)
    table = folder / "images.tsv"
    table.write_text("path\ttext\n" + "".join(f"{key}\ta text\n" for key in keys))
    files = [SourceFile(path=str(table), bytes=table.stat().st_size)]
    source = SourceInfo(kind="table", path=str(table), files=files, options={"format": "tsv", "columns": {}})
    with DatasetWriter(path, tower=card(24), source=source, tables=[captions_table()]) as writer:
        writer.write(keys=keys, embeddings=vectors, columns={"captions": {"texts": [["a text"]] * len(keys)}})


def test_the_page_has_pairs_with_their_images_and_obeys_no_text(folder, run):
    _write_with_images(folder / "pictured", ROWS, "row")
    arguments = ("--against", "evaluation", "--within", "--output", "x.selection", "--page", "pairs.html")
    status, printed, said = run("pictured", *arguments, "--show-images")
    page = (folder / "pairs.html").read_text()
    assert status == 0, said
    assert "pairs.html: pairs around the threshold" in printed
    assert page.count('src="data:image/png;base64,') > 10
    assert page.count("no image") > 0  # those of the evaluation dataset, whose source is nowhere
    assert all(
        words in page for words in ("Within the dataset", "Against evaluation", "At or above 0.95", "Below 0.95")
    )


_MEASURE = """
const cards = [...document.querySelectorAll(".pairs > li")];
const outside = cards.filter(card => [...card.querySelectorAll("*")].some(element =>
  element.getBoundingClientRect().right > card.getBoundingClientRect().right + 0.5));
return {
  cards: cards.length, outside: outside.length, title: document.title,
  scrolls: document.documentElement.scrollWidth - window.innerWidth,
};
"""


@pytest.mark.slow
def test_the_page_in_a_browser_scrolls_sideways_nowhere(folder, run):
    browser.require()
    run("rows", "--within", "--output", "x.selection", "--page", "pairs.html")
    (folder / "browser").mkdir()
    page = (folder / "pairs.html").read_text()
    for found in browser.measure(page, _MEASURE, (320, 800, 1920), folder / "browser").values():
        assert found["cards"] > 10
        assert (found["outside"], found["title"]) == (0, "Near-duplicates of rows")
        assert found["scrolls"] <= 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows", "--output", "x.selection"), "nothing to compare with: give --against EVAL..., --within, or both"),
        (("rows", "--within", "--output", "x"), "--output x: a selection's name must end in .selection"),
        (("rows", "--within", "--output", "x.selection", "--show-images"), "--show-images: puts images on a page"),
        (("rows", "--within", "--output", "x.selection", "--page", "x.txt"), "--page must end in .html, got 'x.txt'"),
        (("rows", "--within", "--output", "x.selection", "--treshold=1"), "--treshold=1: neither lit-data nor Apache"),
        (("rows", "--within", "--output", "x.selection", "--runner=No"), "--runner=No: there is no such runner"),
        (("nowhere", "--within", "--output", "x.selection"), "there is no directory"),
        (("rows", "--against", "nowhere", "--output", "x.selection"), "there is no directory"),
    ],
)
def test_wrong_input_is_a_sentence_and_status_two(folder, run, arguments, message):
    status, printed, said = run(*arguments)
    assert status == 2
    assert message in said
    assert printed == ""
    assert not list(folder.glob("x.selection*"))
