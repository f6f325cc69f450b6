"""A dataset with another tower's embeddings beside its own: those that `--table` or `--data.table` names are used."""

import dataclasses
import json
import sys

import numpy as np
import pytest

import lit_precompute as lit
from lit_precompute.commands import data, evaluate, tune
from lit_precompute.precompute.deriving.derivation import derive
from lit_precompute.precompute.deriving.options import DeriveOptions
from lit_precompute.schemas import DatasetWriter, EmbeddingDataset, SourceInfo, captions_table
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.tune.data.options import DataOptions
from lit_precompute.tune.model.tuned_model import TunedModel
from lit_precompute.tune.model.tuned_model_files import TunedModelError
from lit_precompute.tune.training.sweep import Sweep
from tests.tune.small_runs import EXECUTION, RECIPE, model_bytes, tower_card, train, write_dataset

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it
WIDTH = 10  # of tower b's embeddings


def card(name, width):
    known = {"family": "test", "resolution": 8, "compute_type": "float32"}
    changes = {"name": name, "architecture": known, "weights_sha256": name * 64}
    return tower_card(name * 64, width).model_copy(update=changes)


@pytest.fixture
def run(monkeypatch, capsys):
    """Returns a function that runs a command; it returns the status, what was printed, and the errors."""

    def run(program, *arguments):
        names = {data: "lit-data", evaluate: "lit-eval", tune: "lit-tune"}
        monkeypatch.setattr(sys, "argv", [names[program], *map(str, arguments)])
        try:
            program.main()
        except SystemExit as end:
            return end.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Returns a folder with dataset `one` of tower a, `other` of tower b, and `both`, which is derived of the two.

    `alone` is a run on `other`, `beside` one on the table of `both` that came from it.
    """
    place = tmp_path_factory.mktemp("place")
    write_dataset(place / "one", tower=card("a", 24))
    with EmbeddingDataset.open(place / "one") as dataset:
        rows = dataset.rows(0, dataset.num_rows)
    vectors = rows.vectors() @ np.random.default_rng(7).standard_normal((24, WIDTH)).astype(np.float32)
    source = SourceInfo(kind="table", path="none", files=[])
    options = {"source": source, "tables": [captions_table()], "block_rows": 16}
    with DatasetWriter(place / "other", tower=card("b", WIDTH), **options) as writer:
        columns = {"captions": {"texts": rows["texts"].to_pylist()}}
        writer.write(keys=rows["key"].to_pylist(), embeddings=vectors, columns=columns)
    derive(DeriveOptions(base=str(place / "one"), output=str(place / "both"), embeddings=(f"b={place / 'other'}",)))
    train(place / "other", place / "alone", RECIPE)
    train(place / "both", place / "beside", dataclasses.replace(RECIPE, data=DataOptions(table="embeddings-b")))
    return place


def figures(printed):
    found = json.loads(printed)
    return {name: found[name] for name in ("image_to_text", "text_to_image")}


def test_tuned_and_evaluated_on_it_as_on_the_dataset_that_it_comes_from(run, place):
    """To the same bits, and the same figures."""
    assert model_bytes(place / "alone") == model_bytes(place / "beside")
    retrieval = ("retrieval", "--model", place / "beside/model", "--json", "--dataset")
    expected = figures(run(evaluate, *retrieval, place / "other")[1])
    status, found, errors = run(evaluate, *retrieval, place / "both", "--table", "embeddings-b")
    assert (status, figures(found)) == (0, expected), errors
    assert expected["image_to_text"]["recall_at_10"]["value"] > 0.2  # by chance: 0.1
    show = ("show", "--dataset", place / "both", "--model", place / "beside/model", "--output", place / "page.html")
    assert run(evaluate, *show, "--table", "embeddings-b")[0] == 0
    assert (place / "page.html").read_bytes()


def test_rows_are_selected_by_similarity_under_its_model(run, place):
    chosen = ("--model", place / "alone/model", "--best-share", 0.3, "--output")
    assert run(data, "select", place / "other", *chosen, place / "expected.selection")[0] == 0
    beside = (*chosen, place / "found.selection", "--table", "embeddings-b")
    assert run(data, "select", place / "both", *beside)[0] == 0
    expected, found = (Selection.open(place / f"{name}.selection") for name in ("expected", "found"))
    assert np.array_equal(expected.bits, found.bits)
    assert found.made_by["criteria"]["similarity"]["table"] == "embeddings-b"


@pytest.mark.parametrize("command", ["retrieval", "show", "zero-shot"])
def test_a_model_is_never_used_with_another_towers_embeddings(run, place, command):
    (place / "classes.txt").write_text("word1\nword2\n")
    more = {"show": ("--output", place / "page.html"), "zero-shot": ("--classes", place / "classes.txt")}
    asked = ("--dataset", place / "both", "--model", place / "alone/model", *more.get(command, ()))
    status, printed, error = run(evaluate, command, *asked)
    assert (status, printed) == (2, "")
    assert "its tower 'a' is not the one that the model was tuned on, 'b'" in error
    assert error.endswith("Its table 'embeddings-b' is of the model's tower: give --table embeddings-b\n")


def test_the_card_of_the_opened_table_counts(place):
    """Not that of the table `embeddings`, whichever is open."""
    model = TunedModel.load(place / "alone/model")
    of_one = dataclasses.replace(model, image_tower=card("a", 24).model_dump())
    with EmbeddingDataset.open(place / "both", embeddings="embeddings-b") as both:
        assert (both.tower.name, both.width, both.columns) == ("b", WIDTH, ["key", "embedding", "texts"])
        model.check_goes_with(both)
        with pytest.raises(TunedModelError, match=r"its tower 'b' is not .* 'a': .* give --table embeddings$"):
            of_one.check_goes_with(both)
    with EmbeddingDataset.open(place / "other") as other, pytest.raises(TunedModelError, match=r"the same weights$"):
        of_one.check_goes_with(other)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (evaluate, ("retrieval", "--model", "alone/model", "--table", "embeddings-x")),
        (tune, ("--output", "new", "--data.table", "embeddings-x")),
        (tune, ("plan", "--data.table", "embeddings-x")),
        (data, ("compare", "other", "--table", "embeddings-x")),
    ],
)
def test_no_such_table(run, place, monkeypatch, program, arguments):
    monkeypatch.chdir(place)
    dataset = ("both",) if program is data else ("--dataset", "both")
    arguments = (*arguments[:1], *dataset, *arguments[1:]) if program is data else (*arguments, *dataset)
    status, _, error = run(program, *arguments)
    assert status == 2
    assert error == "error: both: has no table of embeddings 'embeddings-x'; it has embeddings, embeddings-b\n"


def test_a_plan_has_the_width_of_the_table(run, place):
    plan = ("plan", "--recipe", "demo", "--no-timed", "--json", "--batch-size", 16, "--dataset")
    expected = json.loads(run(tune, *plan, place / "other")[1])
    found = json.loads(run(tune, *plan, place / "both", "--data.table", "embeddings-b")[1])
    assert found == expected
    assert json.loads(run(tune, *plan, place / "one")[1]) != expected


def test_a_sweep_evaluates_each_model_on_its_towers_table(place, tmp_path):
    axes = {"data.table": ["embeddings", "embeddings-b"]}
    recipe = dataclasses.replace(RECIPE, num_steps=4)
    with EmbeddingDataset.open(place / "both") as both:
        result = Sweep([both], recipe, axes, tmp_path / "sweep", execution=EXECUTION, evaluate=both).run()
    assert len(result.runs) == 2
    for each in result.runs:
        model = TunedModel.load(each.model)
        with EmbeddingDataset.open(place / "both", embeddings=each.values["data.table"]) as dataset:
            found = lit.retrieval(model, dataset).text_to_image
        assert {k: share.value for k, share in found.items()} == {
            k: each.figures[f"text_to_image_recall_at_{k}"] for k in (1, 5, 10)
        }


def test_near_duplicates_by_the_other_towers_embeddings(run, place):
    options = ("--within", "--threshold", 0.97, "--json", "--output")
    expected = json.loads(run(data, "deduplicate", place / "other", *options, place / "e.selection")[1])
    beside = (*options, place / "f.selection", "--table", "embeddings-b")
    found = json.loads(run(data, "deduplicate", place / "both", *beside)[1])
    assert (found["num_selected"], found["within"]) == (expected["num_selected"], expected["within"])
    own = json.loads(run(data, "deduplicate", place / "both", *options, place / "o.selection")[1])
    assert own["within"] != expected["within"]
