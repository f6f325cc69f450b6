"""An exported tuned model as transformers opens it; needs the oracle environment for the comparison.

The export in tests/golden/exported/ was written by `write` below, in the project's own environment:

    python -m tests.oracles.exported --write             # writes it, with the rows and embeddings of our reading
    .venv-oracles/bin/python -m tests.oracles.exported   # opens it with transformers and compares
"""

import pathlib
import shutil
import sys
import tempfile

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "exported"
WIDTH, OUTPUT_WIDTH, LENGTH = 32, 24, 8
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
    """Writes the export, and what our reading gives."""
    from lit_precompute.tune.model.exporting import export_model

    model = make_model(make_tokenizer("huggingface"))
    shutil.rmtree(GOLDEN, ignore_errors=True)
    export_model(model, GOLDEN, "transformers")
    shutil.rmtree(GOLDEN / "tokenizer")
    rows = model.tokenizer.encode(TEXTS, LENGTH)
    embeddings = np.asarray(model.sides.text.apply(model.text_parameters, rows))
    np.savez(GOLDEN / "expected.npz", rows=rows, embeddings=embeddings)


def make_model(tokenizer):
    """Returns a tuned model with drawn parameters."""
    from lit_precompute.towers.text import ViTTextOptions
    from lit_precompute.tune.config.recipe import Recipe
    from lit_precompute.tune.data.texts import TextOptions
    from lit_precompute.tune.model.sides import make_sides
    from lit_precompute.tune.model.tuned_model import TunedModel
    from tests.oracles.drawing import draw
    from tests.tune.small_runs import tower_card

    recipe = Recipe(
        text=TextOptions(max_tokens=LENGTH),
        text_tower=ViTTextOptions(width=WIDTH, depth=2, num_heads=4, mlp_width=48),
    )
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
    """Opens the export with transformers: its tokenizer's rows and its embeddings are those of our reading.

    Raises:
      AssertionError: they differ.
    """
    import torch
    from transformers import AutoTokenizer, SiglipTextModel

    tokenizer = AutoTokenizer.from_pretrained(GOLDEN)
    model, report = SiglipTextModel.from_pretrained(GOLDEN, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    inputs = tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    assert set(inputs) == {"input_ids"}, "the text ViT attends to padding"
    with np.load(GOLDEN / "expected.npz") as golden:
        np.testing.assert_array_equal(inputs["input_ids"].numpy(), golden["rows"])
        with torch.no_grad():
            found = model.eval()(**inputs).pooler_output.numpy()
        expected = golden["embeddings"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    sys.stdout.write("an exported model: transformers gives the same rows and embeddings\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    else:
        compare()
