"""Reference outputs of transformers' BERT and T5 in training, with dropout whose masks are drawn by number.

    .venv-oracles/bin/python -m tests.oracles.dropout            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.dropout --write    # writes tests/golden/dropout/

torch's dropout is replaced by one that takes the mask of its number, in the order of the calls. So equal outputs show
that values are dropped at the same places, in the same order and with the same rate. Importing this needs NumPy alone.
"""

import datetime
import json
import pathlib
import sys
import warnings
from typing import Any

import numpy as np

from tests.oracles import bert, t5
from tests.oracles.drawing import draw

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "dropout"
RATE = 0.1
BERT_FILES, T5_FILES = ("bert-small", "roberta-small"), ("t5", "t5-v1_1", "umt5")
LENGTHS = {**dict.fromkeys(BERT_FILES, 7), **dict.fromkeys(T5_FILES, 11)}


def draw_mask(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns which values are kept, about 1 - `RATE` of them; places are numbered from 1."""
    return draw(f"kept at place {number}", shape) > (2 * RATE - 1) * 3**0.5


def compute(file: str) -> dict[str, np.ndarray]:
    """Returns the average [5, width] of a file's real tokens, and the shapes of all masks, row by row."""
    import torch

    is_bert = file in BERT_FILES
    model = bert._encoder(file) if is_bert else t5._load(file)
    model.set_attn_implementation("eager")  # the others drop out within one kernel
    tokens = torch.from_numpy((bert if is_bert else t5).draw_tokens(file, LENGTHS[file]).astype(np.int64))
    mask = (tokens != (bert.PAD_IDS[file] if is_bert else t5.FILES[file].pad_id)).long()
    shapes: list[tuple[int, ...]] = []

    def dropout(values: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        del inplace
        assert (p, training) == (RATE, True)
        shapes.append(tuple(values.shape))
        return torch.from_numpy(draw_mask(len(shapes), shapes[-1])) * values / (1 - p)

    own = torch.nn.functional.dropout
    torch.nn.functional.dropout = dropout
    try:
        with torch.no_grad():
            hidden = model.train()(input_ids=tokens, attention_mask=mask).last_hidden_state
    finally:
        torch.nn.functional.dropout = own
    weights = mask[..., None].float()
    average = ((hidden * weights).sum(1) / weights.sum(1)).numpy()
    padded = [[*shape, *[0] * (4 - len(shape))] for shape in shapes]
    return {"average": average, "shapes": np.array(padded, np.int32)}


def read(file: str) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Returns a golden: the average, and the shapes of all masks."""
    with np.load(GOLDEN / "outputs.npz") as golden:
        shapes = [tuple(int(length) for length in shape if length) for shape in golden[f"{file} shapes"]]
        return golden[f"{file} average"], shapes


def compare() -> None:
    """Computes afresh and compares with the goldens.

    Raises:
      AssertionError: an output differs by more than rounding.
    """
    with np.load(GOLDEN / "outputs.npz") as golden:
        for file in LENGTHS:
            for name, values in compute(file).items():
                expected = golden[f"{file} {name}"]
                np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    sys.stdout.write(f"dropout: transformers gives the goldens of {len(LENGTHS)} models\n")


def _write() -> None:
    import torch
    import transformers

    GOLDEN.mkdir(parents=True, exist_ok=True)
    arrays = {f"{file} {name}": values for file in LENGTHS for name, values in compute(file).items()}
    np.savez(GOLDEN / "outputs.npz", **arrays)  # pyright: ignore[reportArgumentType]
    made = {
        "script": "tests/oracles/dropout.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    (GOLDEN / "made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--write" in sys.argv[1:]:
        _write()
    compare()
