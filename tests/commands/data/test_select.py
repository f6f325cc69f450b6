"""lit-data select: what it prints and writes, and lit-data info of it."""

import json
import sys

import pytest

from lit_precompute.commands import data
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from tests.schemas.making import rows, write

NUM_ROWS = 50
KEYS, _, TEXTS, LABELS = rows(NUM_ROWS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "dataset"
    write(path, NUM_ROWS)
    return str(path)


@pytest.fixture
def run(capsys, monkeypatch):
    def run(*arguments):
        """Runs lit-data; returns its status and what it prints, of each line the words alone."""
        monkeypatch.setattr(sys, "argv", ["lit-data", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as caught:
            data.main()
        printed = capsys.readouterr()
        return caught.value.code, [" ".join(line.split()) for line in printed.out.splitlines()], printed

    return run


def _rows(path):
    return Selection.open(path).rows(0, NUM_ROWS).tolist()


def test_says_what_was_selected_of_what(run, dataset, tmp_path):
    output = tmp_path / "odd.selection"
    options = ("--label", "1", "3", "--rows", 10, NUM_ROWS, "--pattern", r"\.1", "--max-words", 3)
    status, lines, _ = run("select", dataset, "--output", output, *options)
    expected = [row for row in range(10, NUM_ROWS) if LABELS[row] in "13" and len(TEXTS[row]) > 1]
    assert (status, _rows(output)) == (0, expected)
    assert lines[-1] == str(output)
    for line in (
        "after rows 40 left",
        "after label 20 left",
        f"after pattern {len(expected)} left",
        f"selected {len(expected)} of 50 rows ({len(expected) / 50:.3%})",
        f"example row {expected[0]}, {KEYS[expected[0]]}; label {LABELS[expected[0]]}; {TEXTS[expected[0]][0]}",
    ):
        assert line in lines


def test_info_describes_a_selection(run, dataset, tmp_path):
    output = tmp_path / "odd.selection"
    run("select", dataset, "--output", output, "--label", "1", "--random", 5, "--seed", 3)
    with EmbeddingDataset.open(dataset) as opened:
        digest = opened.manifest.digest
    _, lines, _ = run("info", output)
    for line in (
        "rows 5 of 50 rows (10.000%)",
        f"dataset {dataset}",
        f"its digest {digest}",
        'by label {"labels": ["1"]}',
        'by random {"count": 5, "seed": 3}',
        f"digest {Selection.open(output).digest}",
    ):
        assert line in lines
    _, _, printed = run("info", output, "--json")
    found = json.loads(printed.out)
    assert (found["num_selected"], found["num_rows"], found["dataset"]["digest"]) == (5, NUM_ROWS, digest)


def test_a_place_that_cannot_be_written_to_is_refused_before_any_row_is_read(run, dataset, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    status, _, printed = run("select", dataset, "--output", tmp_path / "file/a.selection", "--label", "3")
    assert (status, printed.err) == (2, f"error: {tmp_path}/file: {tmp_path}/file is a file; choose another --output\n")


def test_the_same_command_writes_the_same_bytes_and_json(run, dataset, tmp_path):
    outputs = [tmp_path / name / "rows.selection" for name in "ab"]
    for output in outputs:
        output.parent.mkdir()
        status, _, printed = run("select", dataset, "--output", output, "--random", 7, "--json")
        found = json.loads(printed.out)
        assert (status, found["num_selected"], found["num_left"]) == (0, 7, {"random": 7})
        assert [row["key"] for row in found["examples"]] == [KEYS[row["row"]] for row in found["examples"]]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_set_operations_of_selections(run, dataset, tmp_path):
    one, two, both = (tmp_path / f"{name}.selection" for name in ("one", "two", "both"))
    run("select", dataset, "--output", one, "--label", "1")
    run("select", dataset, "--output", two, "--range", 0, 10)
    first, second, every = {*_rows(one)}, {*_rows(two)}, {*range(NUM_ROWS)}
    for options, expected in [
        (("--all-of", one, two), first & second),
        (("--any-of", one, two), first | second),
        (("--all-of", one, "--none-of", two), first - second),
        (("--none-of", one), every - first),
    ]:
        assert run("select", dataset, "--output", both, *options)[0] == 0
        assert _rows(both) == sorted(expected)


def test_keys_of_a_file(run, dataset, tmp_path):
    (tmp_path / "keys.txt").write_text("image-0004\nimage-0007\nimage-0099\n")
    options = ("--output", tmp_path / "keys.selection", "--keys", tmp_path / "keys.txt")
    status, _, printed = run("select", dataset, *options)
    assert status == 2 and not (tmp_path / "keys.selection").exists()
    assert "keys that no row has, 1 of 3: 'image-0099'; more than --max-missing 0" in printed.err
    status, lines, _ = run("select", dataset, *options, "--max-missing", 1)
    assert (status, _rows(tmp_path / "keys.selection")) == (0, [4, 7])
    assert "note: keys that no row has, 1 of 3: 'image-0099'" in lines


def test_writes_nothing_if_no_row_is_selected(run, dataset, tmp_path):
    status, lines, _ = run("select", dataset, "--output", tmp_path / "no.selection", "--label", "cat")
    assert (status, lines[-1]) == (1, "no row satisfies all criteria; nothing was written")
    assert "note: no row has the label 'cat'; there are 4, such as '0', '1', '2', '3'" in lines
    assert [*tmp_path.iterdir()] == []
    run("select", dataset, "--output", tmp_path / "no.selection", "--label", "1")
    _, lines, _ = run("select", dataset, "--output", tmp_path / "no.selection", "--label", "cat")
    assert lines[-1].endswith(f"nothing was written; {tmp_path}/no.selection is of an earlier command")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "rows.txt", "--random", "3"), "a selection's name must end in .selection"),
        (("--output", "a.selection"), "nothing to select by"),
        (("--output", "a.selection", "--language", "en"), "needs the column 'language'"),
        (("--output", "a.selection", "--random", "51"), "51 rows cannot be drawn at random without replacement"),
        (("--output", "a.selection", "--keys", "absent.txt"), "absent.txt: No such file"),
    ],
)
def test_wrong_input_is_a_sentence(run, dataset, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    status, _, printed = run("select", dataset, *options)
    assert status == 2 and words in printed.err
    assert [*tmp_path.iterdir()] == []
    run("select", dataset, "--output", tmp_path / "no.selection", "--label", "1")
    _, lines, _ = run("select", dataset, "--output", tmp_path / "no.selection", "--label", "cat")
    assert lines[-1].endswith(f"nothing was written; {tmp_path}/no.selection is of an earlier command")
