"""`lit-embed plan`: the estimate as a table and as JSON, its help, and what is refused."""

import json
from unittest import mock

import fsspec
import pytest

from tests.commands.test_help import help_of
from tests.pipelines.embed.making import run, write_source
from tests.precompute.sources.webdataset.tars import write_tar
from tests.towers.tiny_tower import NAME, register_tiny_tower

L4 = "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_tiny_tower()
    return write_source(tmp_path, 30, bad=False)


def _json(monkeypatch, capsys, *command):
    assert run(monkeypatch, "plan", *command, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_table_has_a_column_for_each_tower(table, monkeypatch, capsys):
    towers = ("--towers", f"{NAME},vit_b16", "--rate", "100,10", "--rows-per-shard", "8")
    assert run(monkeypatch, "plan", "--source", table.name, *towers) == 0
    said = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert lines["images/s of a machine"][-2:] == ["100.0", "10.0"]
    assert all(95 < float(speed_up) < 100 for speed_up in lines["speed-up, 100 epochs"][-2:])
    assert "captions.tsv (tsv, 1 table)" in said and "rows     30, counted" in said
    assert "shards   4 shards of up to 8 rows" in said
    assert "of the 10.0 MB that Dataflow takes" in said
    assert not list(table.parent.glob("planned-output*"))


def test_a_folder_is_called_one_of_images(table, monkeypatch, capsys):
    assert run(monkeypatch, "plan", "--source", ".", "--source-format", "folder", "--tower", NAME) == 0
    assert "  . (folder of images, 2 folders)" in capsys.readouterr().out


def test_a_command_line_of_run_is_taken(table, monkeypatch, capsys):
    given = ("--source", table, "--tower", NAME, "--weights", "w.npz", "--output", "out", "--dtype", "int8")
    more = ("--batch-size", "4", "--limit", "10", "--decode-workers", "2", "--max-failures", "1%")
    found = _json(monkeypatch, capsys, *given, *more, "--sample", "8")
    assert (found["source"]["num_rows"], found["vector_type"]) == (10, "int8")
    assert found["towers"][0]["timing"]["num_rows"] == 8
    assert not (table.parent / "out").exists()


def test_json_has_what_programs_need(table, monkeypatch, capsys):
    flags = ("--runner=DataflowRunner", "--machine_type=g2-standard-16", L4, "--region=us-central1")
    found = _json(monkeypatch, capsys, "--source", table, "--tower", NAME, "--rate", "50", "--machines", "2", *flags)
    assert set(found) == {
        *("source", "rows_per_shard", "vector_type", "machine", "machine_type", "runner", "graph_bytes"),
        *("graph_limit_bytes", "prices", "towers", "notes"),
    }
    assert set(found["source"]) == {
        *("path", "format", "num_files", "num_rows", "is_exact", "basis", "num_shards", "read_bytes", "image_bytes"),
    }
    (tower,) = found["towers"]
    assert set(tower) == {
        *("name", "width", "num_parameters", "resolution", "vector_bytes", "words_bytes", "timing", "duration"),
        *("costs", "stored_month", "epochs"),
    }
    assert set(tower["duration"]) == {
        *("images_per_second", "set_up_s", "shard_s", "machines", "hours", "machine_hours"),
    }
    assert [(cost["tariff"], set(cost["parts"])) for cost in tower["costs"]] == [
        ("on demand", {"machine", "accelerators", "disk", "shuffle"})
    ]
    assert set(tower["epochs"]["speed_ups"]) == {"1", "10", "100"}
    assert found["machine"] == "g2-standard-16 with 1 x nvidia-l4"
    assert found["prices"]["region"] == "us-central1"


def test_the_price_file_can_be_printed_edited_and_given(table, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "plan", "--print-prices") == 0
    text = capsys.readouterr().out
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace("vcpu_hour = 0.056", "vcpu_hour = 0.56"))
    given = ("--source", table, "--tower", NAME, "--rate", "0.01", "--runner=DataflowRunner")
    machine = "--machine_type=n2-standard-16"
    shipped, dear = (
        _json(monkeypatch, capsys, *given, machine, *prices)["towers"][0]["costs"][0]["parts"]["machine"]
        for prices in ((), ("--prices", mine))
    )
    assert dear / shipped == pytest.approx((16 * 0.56 + 64 * 0.003557) / (16 * 0.056 + 64 * 0.003557))


@pytest.mark.slow
def test_a_hundred_thousand_files_in_a_store_take_a_few_requests(monkeypatch, capsys, tmp_path):
    register_tiny_tower()
    members = [(f"{row:03}.{suffix}", b"x" * 400) for row in range(20) for suffix in ("jpg", "txt")]
    path = write_tar(tmp_path / "a.tar", members)
    store = fsspec.filesystem("memory")
    store.put(path, "/plan-many/000000.tar")
    names = [f"/plan-many/{number:06}.tar" for number in range(100_000)]
    asked = []
    for name in ("ls", "info", "open", "cat_file"):
        monkeypatch.setattr(type(store), name, _noting(asked, getattr(type(store), name)))
    with mock.patch.dict(store.store, dict.fromkeys(names, store.store[names[0]])):
        flags = ("--source", "memory://plan-many/*.tar", "--tower", NAME, "--runner=DataflowRunner")
        found = _json(monkeypatch, capsys, *flags)
    assert 0 < len(asked) < 100
    monkeypatch.undo()
    store.rm(names[0])
    assert found["source"]["num_files"] == 100_000
    assert found["source"]["num_rows"] == pytest.approx(2_000_000, rel=0.02)
    assert found["graph_bytes"] < found["graph_limit_bytes"]


def _noting(asked, function):
    """Returns a method of a store that also notes each call."""

    def note_and_call(self, path, *given, **more):
        asked.append(path)
        return function(self, path, *given, **more)

    return note_and_call


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("--tower", NAME), "--source is missing"),
        (("--source", "captions.tsv"), "--tower is missing: give a name of"),
        (
            ("--source", "captions.tsv", "--tower", NAME, "--towers", "a,b"),
            f"--tower {NAME} and --towers a,b: give one",
        ),
        (("--source", "gone.tsv", "--tower", NAME), "gone.tsv: cannot be opened"),
        (("--source", "captions.tsv", "--tower", NAME, "--prices", "gone.toml"), "gone.toml: No such file"),
        (("--source", "captions.tsv", "--tower", NAME, "--machine_tpe=x"), "unknown options --machine_tpe=x"),
    ],
)
def test_mistakes_are_one_message(table, monkeypatch, capsys, command, message):
    assert run(monkeypatch, "plan", *command) == 2
    assert message in capsys.readouterr().err


def test_help_teaches(monkeypatch, capsys):
    said = help_of(monkeypatch, capsys, "embed", "plan")
    assert "lit-embed plan --source images/captions.tsv --tower google/vit-base-patch16-224 --sample 256\n" in said
    assert "Without --sample or --rate there are no hours and no dollars" in said
