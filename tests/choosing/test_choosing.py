"""Comparing two towers from images to verdict, stopping, and going on."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from lit_precompute.choosing.choosing import ChooseProgress, choose_tower
from lit_precompute.pipelines.embed.following import EmbedStopped
from lit_precompute.schemas import EmbeddingDataset, Manifest
from lit_precompute.tune.training.progress import TrainingStopped
from tests.choosing.making import options, write_squares
from tests.pipelines.embed.second_tower import FOLDER
from tests.schemas.making import files_of
from tests.towers.tiny_tower import NAME

pytestmark = pytest.mark.standard_promotion  # optax's Adam needs it


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Options of a comparison, its result, and what was reported."""
    folder = tmp_path_factory.mktemp("choose")
    asked, seen = options(folder, write_squares(folder / "source")), list[ChooseProgress]()
    return asked, choose_tower(asked, report=seen.append), seen


def test_the_tower_that_sees_more_wins_clearly(compared):
    _, choice, _ = compared
    assert [tower.name for tower in choice.towers] == [NAME, FOLDER]
    best, other = choice.towers
    assert best.difference is None and best.recalls["mean_recall_at_5"].low > 2 * choice.chances["mean_recall_at_5"]
    gap = other.recalls["mean_recall_at_5"].value - best.recalls["mean_recall_at_5"].value
    assert other.difference.value == pytest.approx(gap) and other.difference.high < 0
    assert choice.verdict.startswith(f"{NAME}: it retrieves best; the next, {FOLDER}, is worse (")


def test_all_towers_are_compared_on_the_same_rows(compared):
    asked, choice, _ = compared
    assert (choice.num_rows, choice.num_trained_on, choice.num_held_out) == (120, 90, 30)
    assert choice.chances["image_to_text_recall_at_10"] == pytest.approx(10 / 30)
    datasets = [f"{asked.output}/embedded/{name}" for name in (NAME, FOLDER)]
    keys = [EmbeddingDataset.open(path).rows(0, 120)["key"].to_pylist() for path in datasets]
    assert keys[0] == keys[1]
    assert all(Manifest.read(path).job["limit_seed"] == 0 for path in datasets)
    assert [tower.dataset for tower in choice.towers] == datasets


def test_rates_and_costs_follow_each_other(compared):
    asked, choice, _ = compared
    kept = json.loads(pathlib.Path(asked.output, "rates.json").read_text())
    for tower in choice.towers:
        assert tower.tower_rate == kept[tower.name]["tower_rate"] > 0
        rate = tower.job_rate or min(tower.tower_rate, tower.decoding_rate)
        assert tower.million_rows.hours == pytest.approx(1e6 / rate / 3600) and tower.million_rows.money == {}
        assert tower.limit == ("decoding" if tower.decoding_rate < tower.tower_rate else "the tower")


def test_every_step_is_reported(compared):
    asked, _, seen = compared
    doings = list(dict.fromkeys((each.number, each.doing) for each in seen))
    assert doings == [(1, "embedding"), (2, "embedding"), *((n, d) for n in (1, 2) for d in ("tuning", "evaluating"))]
    last = [each.tuning for each in seen if each.tuning is not None][-1]
    assert (last.number, last.num_runs) == (2, asked.trainings)
    assert last.training.step == last.training.num_steps >= 60


def test_json_and_plot_are_written(compared):
    asked, choice, _ = compared
    found = json.loads(pathlib.Path(asked.output, "choose.json").read_text())
    assert found == json.loads(json.dumps(choice.to_json()))
    assert found["towers"][0]["recalls"]["text_to_image_recall_at_1"].keys() == {"value", "interval_95"}
    assert found["verdict"] == choice.verdict
    assert pathlib.Path(asked.output, "choose.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_again_repeats_nothing_and_gives_the_same(compared):
    asked, choice, _ = compared
    before, said, seen = files_of(pathlib.Path(asked.output)), list[str](), list[ChooseProgress]()
    again = choose_tower(asked, report=seen.append, say=said.append)
    assert again == choice
    assert not any(each.embedding or each.tuning for each in seen)
    assert f"{NAME}: 120 rows were embedded before, none is now" in said
    after = files_of(pathlib.Path(asked.output))
    changed = {name for name in before if before[name] != after.get(name)} | ({*after} - {*before})
    assert {name for name in changed if "sweep." not in name} <= {"choose.json", "choose.png", "rates.json"}


@pytest.mark.slow
def test_a_stop_in_the_middle_of_anything_is_gone_on_from(tmp_path, compared):
    asked, choice, _ = compared
    mine = dataclasses.replace(asked, output=str(tmp_path / "out"))
    for doing in ("embedding", "tuning"):
        seen = list[str]()
        # The last batch may be embedded before the stop is seen; then the first step of a training sees it.
        with pytest.raises((EmbedStopped, TrainingStopped)):
            choose_tower(
                mine,
                report=lambda progress, seen=seen: seen.append(progress.doing),
                should_stop=lambda seen=seen, doing=doing: doing in seen,
            )
    again = choose_tower(mine)
    for found, expected in zip(again.towers, choice.towers, strict=True):
        for name, estimate in found.recalls.items():
            np.testing.assert_allclose(estimate, expected.recalls[name], rtol=1e-12)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rows": 16}, "of 16 rows 16 have a text, and 16 of these can be held out .* 20 are needed: give more --rows"),
        ({"held_out": 119}, "1 are left to tune on"),
        ({"held_out": 500}, "120 of these can be held out .* 500 are needed"),
    ],
)
def test_too_few_rows_are_refused(tmp_path, compared, more, message):
    asked, *_ = compared
    with pytest.raises(ValueError, match=message):
        choose_tower(dataclasses.replace(asked, output=str(tmp_path / "out"), **more))


def test_a_folder_with_other_files_is_refused(tmp_path, compared):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"contains files that do not belong to a choice of a tower \(mine.txt\)"):
        choose_tower(dataclasses.replace(compared[0], output=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_sample_needs_another_output(compared):
    with pytest.raises(ValueError, match="another choice of a tower: --rows is 120 there, 100 was requested; --seed"):
        choose_tower(dataclasses.replace(compared[0], rows=100, seed=1))


def test_nothing_is_embedded_where_a_later_tower_has_no_weights(tmp_path, compared):
    output = tmp_path / "out"
    with pytest.raises(ValueError, match=r"tower 'vit_b16' has no weights of its own; give a file"):
        choose_tower(dataclasses.replace(compared[0], towers=f"{compared[0].towers},vit_b16", output=str(output)))
    assert not output.exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"towers": NAME}, "give at least two to choose from"),
        ({"trainings": 0}, "--trainings must be >= 1, got 0"),
        ({"rows": 0}, "--rows must be >= 1, got 0"),
        ({"seed": -1}, r"--seed must be in \[0, 2\*\*32\), got -1"),
        ({"output": "gs://bucket/choice"}, "--output"),
    ],
)
def test_options_that_cannot_be_are_refused(compared, more, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(compared[0], **more).jobs()
