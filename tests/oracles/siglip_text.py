"""Reference outputs of transformers' SigLIP text sides, and of its attention pooling, from files it names itself.

    .venv-oracles/bin/python -m tests.oracles.siglip_text            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.siglip_text --write    # writes tests/golden/siglip_text/

The names and shapes of each file come from `save_pretrained`; the weights are drawn by name, so that the tests need
neither torch nor transformers. Rows end in padding, which SigLIP does not mask. Gradients are those of the sum of the
embeddings' sines, two numbers an array: its inner product with numbers drawn for its name, and its length.
"""

import json
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.oracles.drawing import draw, draw_torch_state

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "siglip_text"
PAD = 1
_VISION = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 16,
}
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 160,
    "vocab_size": 101,
    "max_position_embeddings": 7,
}
WIDE = {
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "intermediate_size": 200,
    "vocab_size": 57,
    "max_position_embeddings": 12,
    "projection_size": 40,
}
# file: (model's class, configuration of its text side)
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "siglip": ("SiglipModel", SMALL),
    "siglip-text": ("SiglipTextModel", WIDE),
    "siglip2": ("Siglip2Model", WIDE),
}
CASES = {
    f"{file}-{length}": (file, length)
    for file, (_, text) in FILES.items()
    for length in (text["max_position_embeddings"], text["max_position_embeddings"] - 3)
}
# The attention pooling: width, heads, hidden size of the perceptron.
POOLING = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 72}


def draw_file(file: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one of `FILES`, or of the attention pooling."""
    shapes = json.loads((GOLDEN / "file_names.json").read_text(encoding="utf-8"))[file]
    return draw_torch_state({name: tuple(shape) for name, shape in shapes.items()})


def draw_tokens(case: str) -> np.ndarray:
    """Returns int32 [4, length] with padding of several lengths at the end; the last row is padding alone."""
    file, length = CASES[case]
    size = FILES[file][1]["vocab_size"]
    raw = np.random.PCG64(len(case)).random_raw(4 * length) % np.uint64(size)
    tokens = raw.astype(np.int32).reshape(4, length)
    for row, kept in enumerate((length, length - 1, length // 2, 0)):
        tokens[row, kept:] = PAD
    return tokens


def draw_hidden() -> tuple[np.ndarray, np.ndarray]:
    """Returns vectors [3, 5, 48] to pool, and which of them are real."""
    lengths = np.array([5, 3, 1])
    return draw("hidden", (3, 5, POOLING["hidden_size"])), np.arange(5) < lengths[:, None]


def in_short(name: str, gradient: np.ndarray) -> np.ndarray:
    """Returns the two numbers that stand for a gradient."""
    return np.array([np.vdot(gradient, draw(f"{name} direction", gradient.shape)), np.linalg.norm(gradient)])


def file_names() -> str:
    """Returns the names and shapes of `FILES` as transformers saves them, and of the pooling, as JSON."""
    import safetensors

    names: dict[str, dict[str, list[int]]] = {}
    for file in FILES:
        with tempfile.TemporaryDirectory() as folder:
            _new(file).save_pretrained(folder)
            with safetensors.safe_open(f"{folder}/model.safetensors", "numpy") as saved:
                names[file] = {name: saved.get_slice(name).get_shape() for name in sorted(saved.keys())}
    names["pooling"] = {name: list(value.shape) for name, value in sorted(_new_pooling().state_dict().items())}
    return json.dumps(names, indent=0) + "\n"


def compute() -> dict[str, np.ndarray]:
    """Returns every golden array by name."""
    import torch

    found: dict[str, np.ndarray] = {}
    for case, (file, _) in CASES.items():
        model = _load(file)
        text = getattr(model, "text_model", model)
        tokens = draw_tokens(case)
        embeddings = text(input_ids=torch.from_numpy(tokens.astype(np.int64))).pooler_output
        embeddings.sin().sum().backward()
        found[f"{case} embeddings"] = embeddings.detach().numpy()
        gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
        found |= {f"{case} {name}": in_short(name, gradient.numpy()) for name, gradient in gradients.items()}
    pooling, (hidden, real) = _new_pooling(), draw_hidden()
    pooling.load_state_dict(_as_torch(draw_file("pooling")))
    with torch.no_grad():
        vectors = torch.from_numpy(hidden)
        found["pooling"] = pooling(vectors).numpy()
        found["pooling of real tokens"] = pooling(vectors, torch.from_numpy(real)).numpy()
    return found


def _new(file: str) -> Any:
    import transformers

    model, text = FILES[file]
    config = getattr(transformers, model.replace("Model", "Config"))
    if model.endswith("TextModel"):
        return getattr(transformers, model)(config(**text))
    return getattr(transformers, model)(config(text_config=text, vision_config=_VISION))


def _new_pooling() -> Any:
    from transformers import Siglip2VisionConfig
    from transformers.models.siglip2.modeling_siglip2 import Siglip2MultiheadAttentionPoolingHead

    config = Siglip2VisionConfig(**POOLING)
    config._attn_implementation = "eager"
    return Siglip2MultiheadAttentionPoolingHead(config).eval()


def _load(file: str) -> Any:
    """Returns the model, which has read its weights from a file, as its users' do."""
    import safetensors.numpy

    model = _new(file)
    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        safetensors.numpy.save_file(draw_file(file), pathlib.Path(folder) / "model.safetensors", {"format": "pt"})
        loaded, report = type(model).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return loaded.eval()


def _as_torch(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def write() -> None:
    """Writes the goldens."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "file_names.json").write_text(file_names(), encoding="utf-8")
    np.savez(GOLDEN / "outputs.npz", **compute())  # pyright: ignore[reportArgumentType]


def compare() -> None:
    """Computes afresh and compares with the goldens.

    Raises:
      AssertionError: a name, a shape or an output differs, by more than rounding.
    """
    assert (GOLDEN / "file_names.json").read_text(encoding="utf-8") == file_names()
    with np.load(GOLDEN / "outputs.npz") as golden:
        fresh = compute()
        assert set(golden) == set(fresh)
        for name, values in fresh.items():
            # The gradient of the keys' biases is zero but for rounding, which differs between processors.
            np.testing.assert_allclose(values, golden[name], rtol=0, atol=1e-4 * np.abs(golden[name]).max() + 5e-6)
    sys.stdout.write(f"SigLIP's text sides: transformers gives the {len(fresh)} goldens\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    compare()
