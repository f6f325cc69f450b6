"""Reference outputs of the text tower, from transformers' SiglipTextModel; needs the oracle environment.

    .venv-oracles/bin/python -m tests.oracles.text_tower            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.text_tower --write    # writes tests/golden/text_tower/

Weights are drawn here from raw PCG64 bits, whose stream NumPy keeps, so that only tokens and outputs are stored.
Importing this module needs NumPy alone: the tests draw the same weights from it.
"""

import datetime
import json
import math
import pathlib
import sys
import zlib
from typing import Any

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "text_tower"
POOLINGS = ("last", "first", "average", "max")

# width, depth, num_heads, mlp_width, vocabulary_size, max_tokens, output_width; "base" is the paper's.
SHAPES = {
    "small": {"width": 64, "depth": 3, "num_heads": 4, "mlp_width": 160, "vocabulary_size": 101, "max_tokens": 7},
    "base": {
        "width": 768,
        "depth": 12,
        "num_heads": 12,
        "mlp_width": 3072,
        "vocabulary_size": 32_000,
        "max_tokens": 16,
    },
}
OUTPUT_WIDTH = {"small": 48, "base": 768}


def parameter_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each parameter under big_vision's names, from its source."""
    shape = SHAPES[name]
    width, heads, hidden = shape["width"], shape["num_heads"], shape["mlp_width"]
    shapes: dict[str, tuple[int, ...]] = {
        "Embed_0/embedding": (shape["vocabulary_size"], width),
        "pos_embedding": (1, shape["max_tokens"], width),
    }
    for number in range(shape["depth"]):
        block = f"Encoder_0/encoderblock_{number}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            shapes |= {f"{block}/{norm}/scale": (width,), f"{block}/{norm}/bias": (width,)}
        attention = f"{block}/MultiHeadDotProductAttention_0"
        for part in ("query", "key", "value"):
            shapes[f"{attention}/{part}/kernel"] = (width, heads, width // heads)
            shapes[f"{attention}/{part}/bias"] = (heads, width // heads)
        shapes |= {f"{attention}/out/kernel": (heads, width // heads, width), f"{attention}/out/bias": (width,)}
        shapes |= {f"{block}/MlpBlock_0/Dense_0/kernel": (width, hidden), f"{block}/MlpBlock_0/Dense_0/bias": (hidden,)}
        shapes |= {f"{block}/MlpBlock_0/Dense_1/kernel": (hidden, width), f"{block}/MlpBlock_0/Dense_1/bias": (width,)}
    shapes |= {"Encoder_0/encoder_norm/scale": (width,), "Encoder_0/encoder_norm/bias": (width,)}
    return shapes | {"head/kernel": (width, OUTPUT_WIDTH[name]), "head/bias": (OUTPUT_WIDTH[name],)}


def draw_parameters(name: str) -> dict[str, np.ndarray]:
    """Returns float32 parameters, the same on every machine: each is seeded by its own name."""
    parameters = {}
    for key, shape in parameter_shapes(name).items():
        size = math.prod(shape)
        bits = np.random.PCG64(zlib.crc32(key.encode())).random_raw((size + 1) // 2).view(np.uint32)[:size]
        unit = (bits >> 8).astype(np.float32) * np.float32(2.0**-23 * 3**0.5) - np.float32(3**0.5)
        leaf = key.rsplit("/", 1)[-1]
        if leaf == "kernel":
            fan_in = size // shape[-1] if "/out/" in key or len(shape) == 2 else shape[0]
            unit *= np.float32(fan_in**-0.5)
        elif leaf == "scale":
            unit = 1 + unit * np.float32(0.1)
        elif leaf != "embedding":
            unit *= np.float32(0.1)
        parameters[key] = unit.reshape(shape)
    return parameters


def draw_tokens(name: str) -> np.ndarray:
    """Returns int32 [4, max_tokens]: three rows of ids, cut and padded ones among them, and one of end tokens alone."""
    shape = SHAPES[name]
    length = shape["max_tokens"]
    raw = np.random.PCG64(2).random_raw(4 * length) % np.uint64(shape["vocabulary_size"])
    tokens = raw.astype(np.int32).reshape(4, length)
    tokens[:, -1] = 1
    tokens[1, length // 2 :] = 1
    tokens[3] = 1
    return tokens


def _transformers_state(name: str, parameters: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the parameters under SiglipTextModel's names and in torch's layout."""
    import torch

    width = SHAPES[name]["width"]
    state = {
        "embeddings.token_embedding.weight": parameters["Embed_0/embedding"],
        "embeddings.position_embedding.weight": parameters["pos_embedding"][0],
        "final_layer_norm.weight": parameters["Encoder_0/encoder_norm/scale"],
        "final_layer_norm.bias": parameters["Encoder_0/encoder_norm/bias"],
        "head.weight": parameters["head/kernel"].T,
        "head.bias": parameters["head/bias"],
    }
    for number in range(SHAPES[name]["depth"]):
        ours, theirs = f"Encoder_0/encoderblock_{number}", f"encoder.layers.{number}"
        for norm, their_norm in (("LayerNorm_0", "layer_norm1"), ("LayerNorm_1", "layer_norm2")):
            state[f"{theirs}.{their_norm}.weight"] = parameters[f"{ours}/{norm}/scale"]
            state[f"{theirs}.{their_norm}.bias"] = parameters[f"{ours}/{norm}/bias"]
        for part, their_part in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "out_proj")):
            prefix = f"{ours}/MultiHeadDotProductAttention_0/{part}"
            state[f"{theirs}.self_attn.{their_part}.weight"] = parameters[f"{prefix}/kernel"].reshape(width, width).T
            state[f"{theirs}.self_attn.{their_part}.bias"] = parameters[f"{prefix}/bias"].reshape(width)
        for dense, their_dense in (("Dense_0", "fc1"), ("Dense_1", "fc2")):
            state[f"{theirs}.mlp.{their_dense}.weight"] = parameters[f"{ours}/MlpBlock_0/{dense}/kernel"].T
            state[f"{theirs}.mlp.{their_dense}.bias"] = parameters[f"{ours}/MlpBlock_0/{dense}/bias"]
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in state.items()}


def compute(name: str) -> dict[str, np.ndarray]:
    """Returns the tokens and, for each pooling, SiglipTextModel's outputs; it knows "last" itself."""
    import torch
    from transformers import SiglipTextConfig, SiglipTextModel

    shape = SHAPES[name]
    config = SiglipTextConfig(
        vocab_size=shape["vocabulary_size"],
        hidden_size=shape["width"],
        intermediate_size=shape["mlp_width"],
        num_hidden_layers=shape["depth"],
        num_attention_heads=shape["num_heads"],
        max_position_embeddings=shape["max_tokens"],
        projection_size=OUTPUT_WIDTH[name],
        bos_token_id=None,
        eos_token_id=1,
    )
    model = SiglipTextModel(config).eval()
    state = _transformers_state(name, draw_parameters(name))
    prefix = "text_model." if any(key.startswith("text_model.") for key in model.state_dict()) else ""
    fit = model.load_state_dict({prefix + key: value for key, value in state.items()}, strict=False)
    assert not fit.unexpected_keys and all(key.endswith("position_ids") for key in fit.missing_keys), fit
    tokens = draw_tokens(name)
    with torch.no_grad():
        outputs = model(input_ids=torch.from_numpy(tokens.astype(np.int64)))
        hidden = outputs.last_hidden_state
        head = (model.text_model if prefix else model).head
        pooled = {"first": hidden[:, 0], "average": hidden.mean(1), "max": hidden.amax(1)}
        results = {"last": outputs.pooler_output} | {key: head(value) for key, value in pooled.items()}
    return {"tokens": tokens} | {key: results[key].numpy() for key in POOLINGS}


def _write() -> None:
    import torch
    import transformers

    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in SHAPES:
        np.savez(GOLDEN / f"{name}.npz", **compute(name))  # pyright: ignore[reportArgumentType]
    made = {
        "script": "tests/oracles/text_tower.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    (GOLDEN / "made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def compare() -> None:
    """Computes afresh and compares with the goldens.

    Raises:
      AssertionError: an output differs by more than float32's rounding over twelve blocks allows.
    """
    for name in SHAPES:
        with np.load(GOLDEN / f"{name}.npz") as golden:
            fresh = compute(name)
            np.testing.assert_array_equal(fresh["tokens"], golden["tokens"])
            for pooling in POOLINGS:
                np.testing.assert_allclose(fresh[pooling], golden[pooling], rtol=0, atol=1e-5)
        print(f"text tower, {name}: transformers' SiglipTextModel gives the goldens")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        _write()
    compare()
