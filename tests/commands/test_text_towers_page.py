"""docs/text-towers.md: its text tower is registered, tuned, evaluated and loaded; its names and sizes exist."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from lit_precompute.towers.text import text_towers
from lit_precompute.towers.text.catalogue import describe
from tests.tune.small_runs import write_dataset

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "text-towers.md"
(BAG,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_papers_sizes_are_as_the_page_says():
    rows = re.findall(r"^\| `(vit-\w+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == [name for name in text_towers() if name.startswith("vit-")]
    for name, cells in rows:
        found = describe(name, text_towers()[name])
        sizes = (found.width, found.depth, found.options["num_heads"], found.options["mlp_width"])
        assert cells == " | ".join([*(f"{size:,}" for size in sizes), f"{found.num_parameters / 1e6:,.1f} M"]), name


def test_every_name_on_the_page_is_a_tower():
    table = re.search(r"\| kind \| what \|.*?\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    names = {name for name in re.findall(r"`([\w./-]+)`", table[0]) if "/" in name or name.startswith("lit-")}
    assert len(names) > 10
    assert names <= text_towers().keys()


def run(folder, command, *arguments, status=0):
    program = [sys.executable, "-m", "lit_precompute", command, *map(str, arguments)]
    result = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    return result.stderr if status else result.stdout


@pytest.mark.slow
def test_a_text_tower_from_outside_is_tuned_and_evaluated(tmp_path):
    assert BAG.count("\n") < 60
    (tmp_path / "bag.py").write_text(BAG, encoding="utf-8")
    write_dataset(tmp_path / "data")
    tower = ["--text-tower.kind", "bag:bag", "--text-tower.width", 24]
    small = ["--batch-size", 16, "--num-steps", 300, "--optimizer.warmup-steps", 3, "--micro-batch-size", 6]
    run(tmp_path, "tune", "--dataset", "data", "--output", "run", *tower, *small)
    card = json.loads((tmp_path / "run/model/tuned_model.json").read_text())
    assert card["recipe"]["text_tower"] == {"kind": "bag", "weights": None, "width": 24}
    evaluate = ["--model", "run/model", "--dataset", "data", "--json"]
    found = json.loads(run(tmp_path, "eval", "retrieval", "--module", "bag", *evaluate))
    assert found["text_to_image"]["recall_at_5"]["value"] > 3 * found["text_to_image"]["recall_at_5"]["chance"]
    message = run(tmp_path, "eval", "retrieval", *evaluate, status=2)
    assert "text_tower.kind must be one of ['vit', 'bert', 't5', 'stored'], got 'bag'" in message
    message = run(tmp_path, "eval", "retrieval", "--module", "bags", *evaluate, status=2)
    assert "--module bags: No module named 'bags'" in message
    message = run(tmp_path, "tune", "--dataset", "data", "--output", "other", *tower[:3], 0, status=2)
    assert "text_tower.width must be >= 1, got 0" in message
