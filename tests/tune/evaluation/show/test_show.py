"""Pages are self-contained and mark right answers, whatever the texts contain, even when images are gone."""

import re

import numpy as np
import pytest
from PIL import Image

from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceFile, SourceInfo, captions_table
from lit_precompute.tune.evaluation.show import write_page
from lit_precompute.tune.evaluation.show.html import make_html
from lit_precompute.tune.evaluation.show.page import Page
from tests.schemas.making import card, change_manifest
from tests.tune.evaluation.making import KnownModel, unit, write_rows
from tests.tune.evaluation.show.making import SHOWN, hostile_page

BLANK = ["", " "]
TEXTS = ['a <b>bold</b> & "quoted" text', "$x_1$ costs", "第三 ☂", "four"]


def html_of(*shown, folder, **options):
    """Returns the page as HTML and what `write_page` says of it."""
    page = write_page(*shown, str(folder / "page.html"), **options)
    return (folder / "page.html").read_text("utf-8"), page


@pytest.fixture
def shown(tmp_path):
    """Returns (model, dataset): one-colour images beside a table, each with its text."""
    lines = ["path\ttext"]
    for row in range(4):
        Image.new("RGB", (30, 20), (60 * row, 0, 0)).save(tmp_path / f"{row}.png")
        lines.append(f"{row}.png\ttext {row}")
    (tmp_path / "captions.tsv").write_text("\n".join(lines) + "\n")
    table = SourceFile(path=str(tmp_path / "captions.tsv"), bytes=(tmp_path / "captions.tsv").stat().st_size)
    source = SourceInfo(kind="table", path=table.path, files=[table], options={"format": "tsv", "columns": {}})
    vectors = np.eye(4, dtype=np.float32)
    options = {"tables": [captions_table()], "vector_type": "float32"}
    with DatasetWriter(tmp_path / "d", tower=card(width=4), source=source, **options) as writer:
        columns = {"captions": {"texts": [[text, *BLANK[:row]] for row, text in enumerate(TEXTS)]}}
        writer.write(keys=[f"{row}.png" for row in range(4)], embeddings=vectors, columns=columns)
    model = KnownModel(dict(zip(TEXTS, unit(vectors + 0.1), strict=True)))
    with EmbeddingDataset.open(tmp_path / "d") as dataset:
        yield model, dataset


def test_html_is_self_contained_and_marks_right_answers(shown, tmp_path):
    text, page = html_of(*shown, folder=tmp_path, num_best=2)
    assert page.num_gone == 0
    assert "a &lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot; text" in text
    assert "<b>bold" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "<script" not in text
    assert text.count('<li class="right">') == 8  # each image's first text is its own, and the other way round
    assert text.count("✓</span>") == 8
    assert text.count("data:image/png;base64,") == 12  # 4 images, and 2 for each of 4 texts


def test_blank_texts_are_left_out_and_counted(shown, tmp_path):
    write_page(*shown, str(tmp_path / "page.html"), num_best=9)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>d: 4 images, 4 texts (5 blank texts left out)</h1>" in text
    assert text.count('<ol class="nearest-images">') == 4


def test_counts_in_the_heading_agree_with_their_nouns(tmp_path):
    path = write_rows(tmp_path / "d", np.ones((1, 4)), [["one"]])
    with EmbeddingDataset.open(path) as dataset:
        text, _ = html_of(KnownModel({"one": [1, 1, 1, 1]}), dataset, folder=tmp_path)
    assert "<h1>d: 1 image, 1 text</h1>" in text


def test_html_shows_control_characters_and_direction_marks():
    text = make_html(hostile_page()).decode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    for shown in SHOWN[3:]:
        assert f'alt="{shown}" title="{shown}"' in text
        assert f'<div class="text" dir="auto">{shown}</div>' in text


def test_a_folder_whose_name_is_not_utf_8_has_a_page():
    page = Page(title="\udcff: 1 image, 1 text", of_images=[], of_texts=[], thumbnails={})
    assert r"<h1>\udcff: 1 image, 1 text</h1>" in make_html(page).decode()


def test_png_is_an_image(shown, tmp_path):
    write_page(*shown, str(tmp_path / "page.png"), num_rows=2, num_best=2)
    image = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    assert image.shape[1] == 1430
    assert (image == (0x13, 0x7A, 0x3E)).all(axis=2).sum() > 100  # the frame of a right answer


def test_images_that_are_gone_leave_an_empty_square(shown, tmp_path):
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"no longer an image")
    text, page = html_of(*shown, folder=tmp_path, num_best=1)
    assert "1.png: can no longer be read" in text
    assert "2.png: can no longer be read" in text
    (tmp_path / "captions.tsv").unlink()
    text, page = html_of(*shown, folder=tmp_path, num_best=1)
    assert text.count("can no longer be read") == 8
    assert (page.num_gone, len(page.thumbnails)) == (4, 4)
    text, page = html_of(*shown, folder=tmp_path, num_best=1, image_folder=str(tmp_path))
    assert text.count("can no longer be read") == 4
    assert (page.num_gone, page.looked) == (2, f"in {tmp_path}")


@pytest.mark.parametrize(
    "change",
    [
        {"columns": {"evil": 1}},
        {"columns": {"evil": "path"}},
        {"columns": {"image": 1}},
        {"columns": {"image": ["path"]}},
        {"columns": {"image": ""}},
        {"columns": 5},
        {"columns": None},
        {"columns": ["path"]},
        {"format": ["tsv"]},
        {"format": {}},
        {"format": 5},
        {"format": "zip"},
        {"sample_name": 5},
        {"sample_name": ["first-dot"]},
        {"sample_name": None},
        {"sample_name": "last-dot"},
    ],
)
def test_noted_options_of_no_source_leave_empty_squares(shown, tmp_path, change):
    model, _ = shown
    change_manifest(tmp_path / "d", lambda manifest: manifest["source"]["options"].update(change))
    with EmbeddingDataset.open(tmp_path / "d") as dataset:
        _, page = html_of(model, dataset, folder=tmp_path)
    assert (page.num_gone, page.looked) == (4, f"where {tmp_path}/captions.tsv says")


@pytest.mark.parametrize("path", ["a\0b.tsv", "a\0b.tar", "a" * 300 + ".tsv", "a" * 300, ""])
def test_a_noted_path_that_is_none_leaves_empty_squares(shown, tmp_path, path):
    def change(manifest):
        manifest["source"] |= {"path": path, "files": [{"path": path, "bytes": 1, "sha256": None}], "options": {}}

    model, _ = shown
    change_manifest(tmp_path / "d", change)
    with EmbeddingDataset.open(tmp_path / "d") as dataset:
        _, page = html_of(model, dataset, folder=tmp_path)
    assert page.num_gone == 4


@pytest.mark.parametrize("name", ["x.HTML", "x.Png"])
def test_endings_are_compared_without_case(shown, tmp_path, name):
    write_page(*shown, str(tmp_path / name))
    start = (tmp_path / name).read_bytes()[:9]
    assert start == b"<!doctype" if name == "x.HTML" else start.startswith(b"\x89PNG")


def test_a_folder_is_refused_as_output(shown, tmp_path):
    (tmp_path / "dir.html").mkdir()
    with pytest.raises(ValueError, match=r"^--output .*/dir\.html: is a folder; give the path of a file$"):
        write_page(*shown, str(tmp_path / "dir.html"))


def test_a_name_that_is_too_long_is_named(shown, tmp_path):
    output = str(tmp_path / ("a" * 300 + ".html"))
    with pytest.raises(OSError, match="File name too long") as caught:
        write_page(*shown, output)
    assert caught.value.filename == output


def test_a_different_ending_is_refused(shown, tmp_path):
    with pytest.raises(ValueError, match=r"--output must end in \.html or \.png, got 'page\.pdf'"):
        write_page(*shown, "page.pdf")


@pytest.mark.parametrize("flag", ["num_rows", "num_best"])
def test_fewer_than_one_is_refused(shown, tmp_path, flag):
    with pytest.raises(ValueError, match=rf"--{flag.replace('_', '-')} must be >= 1, got 0"):
        write_page(*shown, str(tmp_path / "page.html"), **{flag: 0})


def test_a_negative_seed_is_refused(shown, tmp_path):
    with pytest.raises(ValueError, match=r"--seed must be >= 0, got -1"):
        write_page(*shown, str(tmp_path / "page.html"), seed=-1)


def test_urls_are_refused_as_output_and_folder(shown, tmp_path):
    for output, folder in (("gs://bucket/a.html", None), (str(tmp_path / "a.html"), "gs://bucket")):
        with pytest.raises(ValueError, match=r"--(output|images) gs://bucket.*: must be a local path"):
            write_page(*shown, output, image_folder=folder)


def test_a_dataset_that_moved_with_its_images_shows_them(shown, tmp_path):
    model, _ = shown
    new = tmp_path / "elsewhere/new"
    new.mkdir(parents=True)
    for path in [*tmp_path.glob("*.png"), tmp_path / "captions.tsv", tmp_path / "d"]:
        path.rename(new / path.name)
    with EmbeddingDataset.open(new / "d") as dataset:
        page = write_page(model, dataset, str(tmp_path / "page.html"))
    assert page.num_gone == 0
    assert page.moved_to == f"{new}/captions.tsv"
