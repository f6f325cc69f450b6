"""The text tower of docs/text-towers.md, extracted from the page: registered, tuned, evaluated and loaded."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from tests.tune.small_runs import write_dataset

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "text-towers.md"
(BAG,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


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
    assert card["recipe"]["text_tower"] == {"kind": "bag", "width": 24}
    evaluate = ["--model", "run/model", "--dataset", "data", "--json"]
    found = json.loads(run(tmp_path, "eval", "retrieval", "--module", "bag", *evaluate))
    assert found["text_to_image"]["recall_at_5"]["value"] > 3 * found["text_to_image"]["recall_at_5"]["chance"]
    message = run(tmp_path, "eval", "retrieval", *evaluate, status=2)
    assert "text_tower.kind must be one of ['vit'], got 'bag'" in message
    message = run(tmp_path, "eval", "retrieval", "--module", "bags", *evaluate, status=2)
    assert "--module bags: No module named 'bags'" in message
    message = run(tmp_path, "tune", "--dataset", "data", "--output", "other", *tower[:3], 0, status=2)
    assert "text_tower.width must be >= 1, got 0" in message
