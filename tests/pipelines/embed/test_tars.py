"""The embedding job on tars as people save them."""

import numpy as np
import pytest

from lit_precompute.schemas import EmbeddingDataset
from tests.pipelines.embed.making import arguments, draw_image, run
from tests.precompute.sources.webdataset.tars import hard, symbolic, write_tar

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def test_every_image_of_a_tar_is_embedded_or_a_failure_and_the_rest_is_noted(tmp_path, monkeypatch, capsys):
    members = [("README", b""), ("0.png", draw_image(0)), ("0.json", '{"text": 7, "label": 0.93}')]
    members += [(f"{n}.png", hard("0.png")) for n in range(1, 10)]  # in two units
    members += [(f"cam 2.{n}.png", draw_image(n)) for n in range(4)]
    members += [("x/late.png", symbolic("../last.png")), ("x/out.png", symbolic("/etc/hostname"))]
    members += [("last.png", draw_image(1))]
    source = tmp_path / "d.tar"
    write_tar(source, members)
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 0
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.manifest.ledger.model_dump() == {"rows_read": 17, "rows_written": 12, "rows_failed": 5}
        keys = dataset.keys().to_pylist()
        vectors = dict(zip(keys, dataset.rows(0, 12, ["embedding"])["embedding"], strict=True))
        assert sorted(row["key"] for row in dataset.failures().to_pylist()) == [
            *(f"d/cam 2.{n}.png" for n in range(4)),
            "d/x/out",
        ]
        assert [(note.what, note.count, note.first) for note in dataset.manifest.notes] == [
            ("'label' is a number, left out", 1, "d/0"),
            ("'text' is a number, left out", 1, "d/0"),
            ("no dot in a member's name, left out", 1, f"{source}:README"),
        ]
    for number in range(1, 10):
        np.testing.assert_array_equal(vectors[f"d/{number}"], vectors["d/0"])
    np.testing.assert_array_equal(vectors["d/x/late"], vectors["d/last"])
    assert not np.array_equal(vectors["d/last"], vectors["d/0"])
    assert "no dot in a member's name, left out: 1" in capsys.readouterr().out


def test_names_with_dots_are_embedded_when_cut_at_the_last_and_make_another_job(tmp_path, monkeypatch, capsys):
    source = tmp_path / "d.tar"
    write_tar(source, [(f"cam 2.{n}.png", draw_image(n)) for n in range(4)])
    assert run(monkeypatch, *arguments(source, tmp_path / "out")) == 2
    assert "--sample-name last-dot" in " ".join(capsys.readouterr().err.split())
    command = arguments(source, tmp_path / "out", sample_name="last-dot")
    assert run(monkeypatch, *command) == 0
    with EmbeddingDataset.open(tmp_path / "out") as dataset:
        assert dataset.keys().to_pylist() == [f"d/cam 2.{n}" for n in range(4)]
    assert run(monkeypatch, *command) == 0
    write_tar(source, [(f"cam 2_{n}.png", draw_image(n)) for n in range(4)])
    for name in ("first-dot", "last-dot"):
        output = tmp_path / name
        assert run(monkeypatch, *arguments(source, output, sample_name=name)) == 0
    assert run(monkeypatch, *arguments(source, tmp_path / "last-dot", sample_name="first-dot")) == 2
    assert "--sample-name is" in capsys.readouterr().err
