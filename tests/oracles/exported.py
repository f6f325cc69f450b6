"""Exported tuned models as transformers opens them; needs the oracle environment for the comparison.

The exports in tests/golden/exported/ were written by `write` below, in the project's own environment:

    python -m tests.oracles.exported --write             # writes them, with the rows and embeddings of our reading
    .venv-oracles/bin/python -m tests.oracles.exported   # opens them with transformers and compares
"""

import pathlib
import shutil
import sys
import tempfile
from typing import Any

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "exported"
WIDTH, OUTPUT_WIDTH, LENGTH = 32, 24, 8
POOLINGS = {"vit": "last", "bert": "first", "t5": "average"}
TEXTS = [
    "a dog runs in the park",
    "Two CATS, sleeping on a red sofa near the window of an old house",
    "",
    "a small bird",
    "  the  sea at night ",
]
CORPUS = [
    "a dog runs in the park",
    "two cats sleeping on a red sofa",
    "a small bird sings",
    "the sea at night",
    "an old house near the window",
    "children play with a ball",
    "a plate of food on the table",
    "a train at the station",
]


def make_tokenizer(kind: str):
    """Returns a small tokenizer, always the same one of a kind."""
    from lit_precompute.towers.tokenizers import HuggingFaceOptions, SentencePieceTokenizer, train_tokenizer
    from lit_precompute.towers.tokenizers.sentencepiece_training import train_pieces

    if kind == "sentencepiece":
        return SentencePieceTokenizer(train_pieces(CORPUS * 4, 60))
    words = sorted({word for text in CORPUS for word in text.split()})
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters), *words]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "vocab.txt"
        path.write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
        return train_tokenizer(HuggingFaceOptions(path=str(path)), [])


def write() -> None:
    """Writes the exports, and what our reading gives."""
    from lit_precompute.tune.model.exporting import export_model

    shutil.rmtree(GOLDEN, ignore_errors=True)
    for kind in POOLINGS:
        model = make_model(make_tokenizer("huggingface"), kind)
        export_model(model, GOLDEN / kind, "transformers")
        # Not for transformers; options to come change it.
        (GOLDEN / kind / "export.json").unlink()
        shutil.rmtree(GOLDEN / kind / "tokenizer")
        rows = model.tokenizer.encode(TEXTS, LENGTH)
        embeddings = np.asarray(model.sides.text.apply(model.text_parameters, rows))
        np.savez(GOLDEN / f"{kind}.npz", rows=rows, embeddings=embeddings)


def make_model(tokenizer: Any, kind: str) -> Any:
    """Returns a tuned model of a kind of text tower, with drawn parameters."""
    from lit_precompute.towers.text import TextTowerOptions
    from lit_precompute.tune.config.recipe import Recipe
    from lit_precompute.tune.data.text_options import TextOptions
    from lit_precompute.tune.model.sides import make_sides
    from lit_precompute.tune.model.tuned_model import TunedModel
    from tests.oracles.drawing import draw
    from tests.tune.small_runs import tower_card

    sizes = {"width": WIDTH, "depth": 2, "num_heads": 4, "mlp_width": 48}
    more = {"t5": {"head_width": 8}, "bert": {"max_positions": 12}}.get(kind, {})
    options = TextTowerOptions.kinds.options_class(kind)(kind=kind, pooling=POOLINGS[kind], **sizes, **more)
    recipe = Recipe(text=TextOptions(max_tokens=LENGTH), text_tower=options)
    sides = make_sides(recipe, width=OUTPUT_WIDTH, vocabulary=tokenizer.vocabulary, statistics=None)
    parameters = {
        name: draw(name, shape) * np.float32(0.2) + np.float32(name.endswith("scale"))
        for name, shape in sides.text.parameter_shapes.items()
    }
    return TunedModel(
        recipe=recipe,
        sides=sides,
        image_parameters={},
        text_parameters=parameters,
        tokenizer=tokenizer,
        statistics=None,
        scale=10.0,
        image_tower=tower_card(width=OUTPUT_WIDTH).model_dump(),
    )


def compare() -> None:
    """Opens the exports with transformers: its tokenizer's rows and its embeddings are those of our reading.

    Raises:
      AssertionError: they differ.
    """
    for kind in POOLINGS:
        with np.load(GOLDEN / f"{kind}.npz") as golden:
            rows, embeddings = _with_transformers(kind)
            np.testing.assert_array_equal(rows, golden["rows"])
            expected = golden["embeddings"]
            np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        sys.stdout.write(f"an exported model, {kind}: transformers gives the same rows and embeddings\n")


def _with_transformers(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and embeddings as docs/text-towers.md says to compute them."""
    import json

    import safetensors.torch
    import torch
    import transformers

    folder = GOLDEN / kind
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    (name,) = json.loads((folder / "config.json").read_text())["architectures"]
    model, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    # BERT's own pooler is not part of a tower.
    assert not report["unexpected_keys"] and all("pooler" in key for key in report["missing_keys"]), report
    inputs = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    assert set(inputs) == ({"input_ids"} if kind == "vit" else {"input_ids", "attention_mask"})
    with torch.no_grad():
        outputs = model.eval()(**inputs)
    if kind == "vit":
        return inputs["input_ids"].numpy(), outputs.pooler_output.numpy()
    head = safetensors.torch.load_file(folder / "head.safetensors")
    hidden, real = outputs.last_hidden_state, inputs["attention_mask"][..., None]
    pooled = (hidden * real).sum(1) / real.sum(1) if kind == "t5" else hidden[:, 0]
    return inputs["input_ids"].numpy(), (pooled @ head["head/kernel"] + head["head/bias"]).numpy()


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    else:
        compare()
