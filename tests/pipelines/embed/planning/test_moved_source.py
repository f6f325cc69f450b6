"""A source by another path, or in another place: its content decides whether a job goes on, with the same bytes."""

import io
import pathlib
import shutil
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from tests.pipelines.embed.making import arguments, draw_image, run, write_source
from tests.schemas.making import files_of
from tests.towers.tiny_tower import write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _not_yet(*_):
    raise RuntimeError("not yet")


def _write_tars(folder):
    folder.mkdir()
    for tar in range(3):
        with tarfile.open(folder / f"{tar:02d}.tar", "w") as file:
            for number in range(8):
                content = draw_image(number) if number else b"no image"
                for suffix, data in (("png", content), ("txt", b"words")):
                    info = tarfile.TarInfo(f"{number:03d}.{suffix}")
                    info.size = len(data)
                    file.addfile(info, io.BytesIO(data))


def _write_images(folder):
    for place in (folder, folder / "below"):
        place.mkdir()
        for number in range(8):
            (place / f"{number}.png").write_bytes(draw_image(number) if number else b"no image")
            (place / f"{number}.txt").write_text("words")


def _write_classes(folder):
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            (folder / name / f"{number}.png").write_bytes(draw_image(number) if number else b"no image")


def _write_img2dataset(folder):
    for shard in ("00000", "00001"):
        (folder / shard).mkdir(parents=True)
        keys = [f"{shard}{number:04d}" for number in range(8)]
        for number, key in enumerate(keys):
            (folder / shard / f"{key}.webp").write_bytes(draw_image(number) if number else b"no image")
        columns = {"key": keys, "caption": ["words"] * 8, "status": ["success"] * 8, "error_message": [""] * 8}
        columns |= {name: [40] * 8 for name in ("width", "height", "original_width", "original_height")}
        pq.write_table(pa.table(columns), folder / f"{shard}.parquet")


_WRITERS = {"tars": _write_tars, "images": _write_images, "classes": _write_classes, "img2dataset": _write_img2dataset}

# The kind of source; its path in `tmp_path` at the first launch; the folder to work in, and the path, at the second.
# Before the second launch `data` is also reachable as `moved/data`.
PLACES = {
    "a table, then by its absolute path": ("table", "data/captions.tsv", ".", "{here}/data/captions.tsv"),
    "a table by its absolute path, then by a relative one": (
        "table",
        "{here}/data/captions.tsv",
        "data",
        "captions.tsv",
    ),
    "a table in the working directory, then in a folder": ("table", "captions.tsv", ".", "data/captions.tsv"),
    "a table that was moved and renamed": ("table", "data/captions.tsv", ".", "moved/data/words.tsv"),
    "tars by a pattern": ("tars", "data/*.tar", ".", "{here}/data/*.tar"),
    "tars by a range": ("tars", "{here}/data/{{00..02}}.tar", "data", "{{00..02}}.tar"),
    "a folder of tars, then moved": ("tars", "data", ".", "moved/data"),
    "a folder of tars, then a pattern": ("tars", "data", ".", "moved/data/0?.tar"),
    "a folder of images, then renamed": ("images", "data", ".", "moved/photos/"),
    "class folders, then renamed": ("classes", "{here}/data/", ".", "moved/photos"),
    "img2dataset's files, then renamed": ("img2dataset", "data", ".", "moved/photos"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_same_content_elsewhere_is_the_same_job(tmp_path, monkeypatch, capsys, place):
    """Failed rows, whose source is recorded, are in every shard."""
    kind, first, folder, second = PLACES[place]
    first, second = first.format(here=tmp_path), second.format(here=tmp_path)
    weights = write_weights(tmp_path / "weights.npz")
    if kind == "table":
        write_source(tmp_path / "data", 20)
    else:
        _WRITERS[kind](tmp_path / "data")

    def launch(source, output):
        return run(monkeypatch, *arguments(pathlib.Path(source), tmp_path / output, weights, rows_per_shard=7))

    monkeypatch.chdir(tmp_path / "data" if first == "captions.tsv" else tmp_path)
    assert launch(first, "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(JobDirectory, "publish", _not_yet)
        assert launch(first, "out") == 1
    for marker in sorted((tmp_path / "out/_work/shards").iterdir())[1:]:
        marker.unlink()
    if "moved" in second:
        (tmp_path / "moved").mkdir()
        shutil.move(tmp_path / "data", tmp_path / "moved/data")
        if second.endswith("words.tsv"):
            (tmp_path / "moved/data/captions.tsv").rename(tmp_path / second)
        if "photos" in second:
            (tmp_path / "moved/data").rename(tmp_path / second)
    monkeypatch.chdir(tmp_path / folder)
    assert launch(second, "out") == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    capsys.readouterr()
    assert launch(second, "out") == 0
    assert "nothing was left to do" in capsys.readouterr().out


def test_other_content_by_the_same_path_is_another_job(tmp_path, monkeypatch, capsys):
    table = write_source(tmp_path / "data", 20)
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(table, tmp_path / "out")) == 1
    table.write_text(table.read_text().replace("text of 003", "Text of 003"))
    capsys.readouterr()
    assert run(monkeypatch, *arguments(table, tmp_path / "out")) == 2
    message = (
        f"error: {tmp_path}/out: belongs to another job: the content of {table} has changed since the output was begun"
        "; choose another --output\n"
    )
    assert capsys.readouterr().err == message


def test_another_source_is_refused_by_its_content_alone(tmp_path, monkeypatch, capsys):
    table, other = write_source(tmp_path / "data", 20), write_source(tmp_path / "other", 10)
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert run(monkeypatch, *arguments(table, tmp_path / "out")) == 1
    capsys.readouterr()
    assert run(monkeypatch, *arguments(other, tmp_path / "out", text_column="label", label_column="text")) == 2
    message = (
        f"error: {tmp_path}/out: belongs to another job: the content of {other} differs from that of {table}, with "
        "which the output was begun; choose another --output\n"
    )
    assert capsys.readouterr().err == message


def test_a_moved_source_that_is_read_in_another_way_is_refused_by_that_alone(tmp_path, monkeypatch, capsys):
    table = write_source(tmp_path / "data", 20)
    weights = write_weights(tmp_path / "weights.npz")
    assert run(monkeypatch, *arguments(table, tmp_path / "out", weights)) == 0
    table.parent.rename(tmp_path / "moved")
    capsys.readouterr()
    command = arguments(
        tmp_path / "moved/captions.tsv", tmp_path / "out", weights, text_column="label", label_column="text"
    )
    assert run(monkeypatch, *command) == 2
    message = (
        f"error: {tmp_path}/out: belongs to another job: --label-column is 'label' there, 'text' was requested; "
        "--text-column is 'text' there, 'label' was requested. Give these values again to resume it, or choose "
        "another --output\n"
    )
    assert capsys.readouterr().err == message


def test_tars_of_other_names_are_another_job(tmp_path, monkeypatch, capsys):
    """A tar's name is part of its rows' keys."""
    _write_tars(tmp_path / "data")
    weights = write_weights(tmp_path / "weights.npz")
    assert run(monkeypatch, *arguments(tmp_path / "data", tmp_path / "out", weights)) == 0
    (tmp_path / "data/00.tar").rename(tmp_path / "data/000.tar")
    assert run(monkeypatch, *arguments(tmp_path / "data", tmp_path / "out", weights)) == 2
    assert "has changed since the output was begun" in capsys.readouterr().err


def test_an_absolute_path_in_a_table_is_not_taken_for_one_beside_it(tmp_path, monkeypatch):
    """The image stays where it was when the table is moved."""
    table = write_source(tmp_path / "data", 10, bad=False)
    (tmp_path / "fixed.png").write_bytes(draw_image(3))
    table.write_text(table.read_text().replace("003.png\t", f"{tmp_path}/fixed.png\t"))
    weights = write_weights(tmp_path / "weights.npz")
    assert run(monkeypatch, *arguments(table, tmp_path / "whole", weights)) == 0
    with monkeypatch.context() as patch:
        patch.setattr(JobDirectory, "publish", _not_yet)
        assert run(monkeypatch, *arguments(table, tmp_path / "out", weights)) == 1
    (tmp_path / "out/_work/shards/00000.json").unlink()
    table.parent.rename(tmp_path / "moved")
    assert run(monkeypatch, *arguments(tmp_path / "moved/captions.tsv", tmp_path / "out", weights)) == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
