"""lit-eval as a user sees it: tables, flags, JSON."""

import json
import pathlib
import re
import sys

import numpy as np
import pytest
from PIL import Image

from lit_precompute.commands import evaluate as command_line
from lit_precompute.tune.evaluation.prompts import make_prompts
from lit_precompute.tune.model.tuned_model import TunedModel
from tests.tune.evaluation.making import KnownModel, write_rows

NAMES = [f"name {number}" for number in range(8_118)]


@pytest.fixture
def lit_eval(monkeypatch, capsys):
    """Returns a function that runs lit-eval on a model that knows `NAMES` and returns the output."""
    vectors = np.random.default_rng(0).standard_normal((len(NAMES), 8))
    model = KnownModel({make_prompts(name, ("{}",))[0]: vector for name, vector in zip(NAMES, vectors, strict=True)})
    monkeypatch.setattr(TunedModel, "load", lambda path, text_tower=None: model)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, status=0):
        monkeypatch.setattr(sys, "argv", ["lit-eval", *map(str, arguments), "--model", "model"])
        try:
            command_line.main()
        except SystemExit as end:
            assert end.code == status, capsys.readouterr()
        captured = capsys.readouterr()
        return captured.err if status else captured.out

    return run


def _write(directory, labels):
    """Writes a dataset with a random embedding and the same text for each label."""
    vectors = np.random.default_rng(1).standard_normal((len(labels), 8))
    return write_rows(directory, vectors, [["name 1"]] * len(labels), labels)


def test_small_chance_levels_keep_significant_digits(lit_eval, tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    path = _write(tmp_path / "d", ["name 1"] * 300)
    text = lit_eval("zero-shot", "--dataset", path, "--classes", tmp_path / "classes.txt")
    top1, top5 = (next(line for line in text.splitlines() if name in line) for name in ("top-1", "top-5"))
    assert "│ 0.012% │" in top1
    assert "│ 0.062% │" in top5
    assert "the most frequent class alone: 100.0%" in text
    lines = [line for line in text.splitlines() if line[0] in "┏┃┡│└"]
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 80
    assert "…" not in text


def test_paths_and_names_are_printed_unchanged(lit_eval, tmp_path):
    """Text that looks like rich's markup or an emoji code is left alone."""
    (tmp_path / "classes.txt").write_text("name 1\nname 2\n")
    path = _write(tmp_path / "odd [bold] :smile:", ["name 1", "name 2"])
    text = lit_eval("zero-shot", "--dataset", path, "--classes", tmp_path / "classes.txt")
    assert f"{path} (2 " in text
    assert f"retrieval, {path} (2 " in lit_eval("retrieval", "--dataset", path)


def test_classes_with_equal_names_are_listed_and_counted(lit_eval, tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(NAMES[:7] * 2))
    path = _write(tmp_path / "d", ["name 1", "name 2"])
    text = lit_eval("zero-shot", "--dataset", path, "--classes", tmp_path / "classes.txt")
    # Names as they are in the file.
    expected = "never predicted, because an earlier class has the same name: name 0, name 1, name 2, name 3, name 4"
    assert f"{expected} and 2 more\n" in text


def test_rows_without_labels(lit_eval, tmp_path):
    (tmp_path / "classes.txt").write_text("name 1\nname 2\n")
    path = _write(tmp_path / "d", ["", "-1"])
    flags = ("zero-shot", "--dataset", path, "--classes", tmp_path / "classes.txt")
    text = lit_eval(*flags)
    assert "2 images without a label (empty or -1), not counted" in text
    assert "│    n/a │ 0.0% to 100.0% │  50.0% │" in text
    figures = json.loads(lit_eval(*flags, "--json"), parse_constant=pytest.fail)
    assert (figures["top1"]["value"], figures["majority"], figures["num_unlabelled"]) == (None, None, 2)
    assert "the most frequent class alone: n/a" in text
    assert "no row has a label" in lit_eval("zero-shot", "--dataset", path, status=2)


@pytest.mark.parametrize("flag", ["--images", "--pictures"])
def test_the_old_flag_for_the_folder_of_images_works(lit_eval, tmp_path, flag):
    path = _write(tmp_path / "d", ["name 1", "name 2"])
    Image.new("RGB", (9, 9)).save(tmp_path / "row-1", "PNG")
    page = tmp_path / "page.html"
    assert lit_eval("show", "--dataset", path, "--output", page, flag, tmp_path).splitlines() == [
        str(page),
        f"1 of 2 images cannot be read; looked in {tmp_path}; --images gives the folder that holds them",
    ]
    assert page.read_text("utf-8").count("row-0: can no longer be read") == 3  # itself, and an answer to each text
    assert page.read_text("utf-8").count('alt="row-1"') == 3


def test_numbers_for_labels_need_names(lit_eval, tmp_path):
    path = _write(tmp_path / "d", ["7", "-1"])
    text = lit_eval("zero-shot", "--dataset", path, status=2)
    assert "row 0 ('row-0'): the label '7' is a number, which a prompt cannot ask for; give --classes" in text


@pytest.mark.usefixtures("lit_eval")
def test_long_work_shows_its_progress_beside_the_figures(tmp_path, monkeypatch, capsys):
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    path = _write(tmp_path / "d", ["name 1"])
    flags = ["--model", "model", "--dataset", path, "--classes", str(tmp_path / "classes.txt"), "--json"]
    monkeypatch.setattr(sys, "argv", ["lit-eval", "zero-shot", *flags])
    command_line.main()
    captured = capsys.readouterr()
    assert json.loads(captured.out)["num_classes"] == len(NAMES)
    lines = captured.err.splitlines()
    assert re.fullmatch(r"1,024/8,118 class embeddings  [\d,]+ prompts/s  .* left", lines[0])
    assert re.fullmatch(r"8,118/8,118 class embeddings  [\d,]+ prompts/s", lines[-1])


def test_blank_texts_are_counted(lit_eval, tmp_path):
    path = write_rows(tmp_path / "d", np.ones((2, 8)), [["name 1", " "], ["name 2", ""]])
    assert "2 blank texts left out\n" in lit_eval("retrieval", "--dataset", path)
    assert json.loads(lit_eval("retrieval", "--dataset", path, "--json"))["num_blank_texts"] == 2


def test_a_page_without_images_says_where_they_were_looked_for(lit_eval, tmp_path):
    path = _write(tmp_path / "d", ["name 1", "name 2"])
    said = lit_eval("show", "--dataset", path, "--output", tmp_path / "page.html")
    assert "no image of 2 was found; looked for " in said
    assert f" here and beside {path}; --images gives the folder that holds them" in said


def test_a_page_of_one_image_says_so(lit_eval, tmp_path):
    path = _write(tmp_path / "d", ["name 1"])
    said = lit_eval("show", "--dataset", path, "--output", tmp_path / "page.html", "--images", tmp_path).splitlines()
    assert said[1] == f"the image was not found; looked in {tmp_path}; --images gives the folder that holds it"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", "-1"], "--seed must be >= 0, got -1"),
        (["--output", "d.html"], "--output d.html: is a folder; give the path of a file"),
        (["--output", "file/page.html"], "file: File exists"),
    ],
)
def test_flags_of_show_that_cannot_be_are_refused_in_a_sentence(lit_eval, tmp_path, monkeypatch, flags, words):
    path = _write(tmp_path / "d", ["name 1"])
    monkeypatch.chdir(tmp_path)
    pathlib.Path("d.html").mkdir()
    pathlib.Path("file").touch()
    said = lit_eval(
        "show", "--dataset", path, *(["--output", "page.html"] if "--seed" in flags else []), *flags, status=2
    )
    assert said == f"error: {words}\n"


def test_a_full_disk_leaves_no_page(lit_eval, tmp_path, monkeypatch):
    """The system's own error, by its file that is always full."""
    path = _write(tmp_path / "d", ["name 1", "name 2"])
    monkeypatch.setattr(pathlib.Path, "write_bytes", lambda self, data: self.__class__("/dev/full").write_text("x"))
    said = lit_eval("show", "--dataset", path, "--output", tmp_path / "page.html", status=1)
    assert "no space left on the file system at " in said and said.endswith(f"writing {tmp_path}/page.html\n")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
