"""Reference outputs of transformers' T5 encoders, from files that transformers itself names; see `hugging_face`.

    .venv-oracles/bin/python -m tests.oracles.t5            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.t5 --write    # writes tests/golden/t5/

Weights and tokens are drawn by name, so that importing this module needs NumPy alone. Each file is what
`save_pretrained` writes, some with the decoder, as they are published. Rows are padded, one of them at its start.
"""

import datetime
import json
import math
import pathlib
import sys
import tempfile
from typing import Any, NamedTuple

import numpy as np

from tests.oracles.drawing import draw

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "t5"
FILE_NAMES, CONFIGS, COUNTS, BUCKETS = (
    GOLDEN / f"{name}.json" for name in ("file_names", "configs", "parameter_counts", "buckets")
)
POOLINGS = ("first", "average", "max", "end")
END, LENGTHS, NUM_DIRECTIONS = 1, (11, 200), 3
_RELU = {"d_model": 64, "d_kv": 24, "d_ff": 96, "num_layers": 2, "num_heads": 4, "vocab_size": 130}
_GATED = {
    "d_model": 72,
    "d_kv": 16,
    "d_ff": 100,
    "num_layers": 3,
    "num_heads": 5,
    "vocab_size": 150,
    "feed_forward_proj": "gated-gelu",
}
_WIDE = {"d_model": 128, "num_layers": 4, "num_heads": 3}


class File(NamedTuple):
    """A file of tests: the model's class, which saves it, its configuration, and the token that pads; None: none."""

    model: str
    config: dict[str, Any]
    pad_id: int | None = 0


FILES = {
    "t5": File("T5ForConditionalGeneration", _RELU),
    "t5-wide": File("T5EncoderModel", _RELU | _WIDE),
    "t5-v1_1": File("T5ForConditionalGeneration", _GATED | {"tie_word_embeddings": False}),
    "t5-v1_1-wide": File("T5EncoderModel", _GATED | _WIDE),
    "mt5": File("MT5EncoderModel", _GATED, pad_id=3),
    "mt5-wide": File("MT5ForConditionalGeneration", _GATED | _WIDE, pad_id=None),
    "umt5": File("UMT5EncoderModel", _GATED),
    # Distances beyond the last bucket's even in short rows.
    "t5-near": File(
        "T5EncoderModel", _RELU | {"relative_attention_num_buckets": 12, "relative_attention_max_distance": 7}
    ),
}
CASES = {f"{file}-{length}": (file, length) for file in FILES for length in LENGTHS}
# A `.bin` file repeats the table of tokens under each of its names.
BIN, BIN_FILE = GOLDEN / "pytorch_model.bin", "t5-tiny"
FILES[BIN_FILE] = File(
    "T5ForConditionalGeneration",
    {"d_model": 8, "d_kv": 3, "d_ff": 6, "num_layers": 1, "num_heads": 2, "vocab_size": 12},
)
# Configurations of the relative positions whose buckets are compared: (number of buckets, maximum distance).
POSITIONS = ((32, 128), (12, 7), (64, 500))


def encoder_names(file: str) -> list[str]:
    """Returns the names of the encoder's parameters in one of `FILES`."""
    names = json.loads(FILE_NAMES.read_text(encoding="utf-8"))[file]
    return [name for name in names if name.startswith(("shared.", "encoder."))]


def draw_file(file: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one of `FILES`, scaled as T5 draws them, but with relative positions that matter."""
    shapes = json.loads(FILE_NAMES.read_text(encoding="utf-8"))[file]
    config = FILES[file].config
    state: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        values = draw(f"{file} {name}", tuple(shape))
        if len(shape) == 1:
            values = 1 + values / 10
        elif ".SelfAttention.q." in name:
            values *= np.float32((config["d_model"] * config["d_kv"]) ** -0.5)
        elif "embed" not in name and "shared" not in name and "relative" not in name:
            values *= np.float32(shape[1] ** -0.5)
        state[name] = values
    return state


def draw_tokens(file: str, length: int) -> np.ndarray:
    """Returns int32 [5, length]: a whole row, a cut one, one piece, one padded at its start, the end token alone."""
    pad, size = FILES[file].pad_id, FILES[file].config["vocab_size"]
    raw = np.random.PCG64(length).random_raw(5 * length) % np.uint64(size)
    tokens = raw.astype(np.int32).reshape(5, length)
    tokens[tokens == END] = 7
    if pad is not None:
        tokens[tokens == pad] = 9
    tokens[0, 1] = 0 if pad != 0 else 11  # 0 is a piece like others where something else pads
    fill = END if pad is None else pad
    for row, num_pieces in ((1, length // 2), (2, 1), (4, 0)):
        tokens[row, num_pieces] = END
        tokens[row, num_pieces + 1 :] = fill
    tokens[3, : length // 3] = fill
    tokens[[0, 3], -1] = END
    return tokens


def draw_directions(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the directions along which gradients are compared, and their norm: [NUM_DIRECTIONS, ...]."""
    return draw(f"{name} directions", (NUM_DIRECTIONS, *shape)) / np.float32(math.prod(shape) ** 0.5)


def gradient_figures(name: str, gradient: np.ndarray) -> np.ndarray:
    """Returns what the goldens keep of a gradient: its norm, and its products with the directions."""
    gradient = np.asarray(gradient, np.float64)
    products = (draw_directions(name, gradient.shape) * gradient).reshape(NUM_DIRECTIONS, -1).sum(1)
    return np.array([np.linalg.norm(gradient), *products], np.float32)


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns the poolings [5, width], and the figures of the gradients of sum(sin(average)), in the names' order."""
    import torch

    file, length = CASES[case]
    tokens = torch.from_numpy(draw_tokens(file, length).astype(np.int64))
    pad_id = FILES[file].pad_id
    mask = torch.ones_like(tokens) if pad_id is None else (tokens != pad_id).long()
    model = _load(file)
    hidden = model(input_ids=tokens, attention_mask=mask).last_hidden_state
    weights = mask[..., None].float()
    average = (hidden * weights).sum(1) / weights.sum(1)
    average.sin().sum().backward()
    first_end = (tokens == END).int().argmax(1)
    pooled = {
        "first": hidden[:, 0],
        "average": average,
        "max": hidden.masked_fill(weights == 0, -torch.inf).amax(1),
        "end": hidden[torch.arange(len(tokens)), first_end],
    }
    results = {name: values.detach().numpy() for name, values in pooled.items()}
    gradients = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    assert sorted(gradients) == encoder_names(file), gradients.keys()
    results["gradients"] = np.stack([gradient_figures(name, gradients[name]) for name in sorted(gradients)])
    return results


def file_names() -> str:
    """Returns the names and shapes of `FILES` as transformers saves them, as JSON."""
    import safetensors

    names: dict[str, dict[str, list[int]]] = {}
    for file, (model, config, _) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            _model(model, config).save_pretrained(folder)
            with safetensors.safe_open(f"{folder}/model.safetensors", "numpy") as saved:
                names[file] = {name: saved.get_slice(name).get_shape() for name in sorted(saved.keys())}
    return json.dumps(names, indent=0) + "\n"


def configs() -> str:
    """Returns the content of each file's `config.json` as transformers saves it, but for its version, as JSON."""
    found: dict[str, dict[str, Any]] = {}
    for file, (model, config, _) in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            _model(model, config).config.save_pretrained(folder)
            found[file] = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        del found[file]["transformers_version"]
    return json.dumps(found, indent=0) + "\n"


def parameter_counts() -> str:
    """Returns how many parameters transformers' encoder has for the sizes that are published, as JSON."""
    import torch

    counts: dict[str, int] = {}
    for name, (model, config) in PUBLISHED.items():
        with torch.device("meta"):
            parameters = _model(model, config).parameters()
        counts[name] = sum(parameter.numel() for parameter in parameters)
    return json.dumps(counts, indent=0) + "\n"


def buckets() -> str:
    """Returns the buckets of the distances from -600 to 600 for each of `POSITIONS`, as JSON."""
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = torch.arange(-600, 601)
    found = {
        f"{number} {distance}": T5Attention._relative_position_bucket(
            distances, bidirectional=True, num_buckets=number, max_distance=distance
        ).tolist()
        for number, distance in POSITIONS
    }
    return json.dumps(found) + "\n"


def _size(model: str, width: int, head_width: int, mlp_width: int, depth: int, heads: int) -> tuple[str, dict]:
    fields = {"d_model": width, "d_kv": head_width, "d_ff": mlp_width, "num_layers": depth, "num_heads": heads}
    gated = {} if model == "T5EncoderModel 1.0" else {"feed_forward_proj": "gated-gelu"}
    vocabulary = {"vocab_size": 250_112 if model == "MT5EncoderModel" else 32_128}
    return model.partition(" ")[0], fields | gated | vocabulary


# The sizes of t5x's examples/t5/{t5_1_0,t5_1_1,mt5}/*.gin.
PUBLISHED = {
    "google-t5/t5-small": _size("T5EncoderModel 1.0", 512, 64, 2048, 6, 8),
    "google-t5/t5-base": _size("T5EncoderModel 1.0", 768, 64, 3072, 12, 12),
    "google-t5/t5-large": _size("T5EncoderModel 1.0", 1024, 64, 4096, 24, 16),
    "google-t5/t5-3b": _size("T5EncoderModel 1.0", 1024, 128, 16384, 24, 32),
    "google-t5/t5-11b": _size("T5EncoderModel 1.0", 1024, 128, 65536, 24, 128),
    **{
        f"{prefix}-{size}": _size(model, *lengths)
        for prefix, model in (("google/t5-v1_1", "T5EncoderModel 1.1"), ("google/mt5", "MT5EncoderModel"))
        for size, lengths in {
            "small": (512, 64, 1024, 8, 6),
            "base": (768, 64, 2048, 12, 12),
            "large": (1024, 64, 2816, 24, 16),
            "xl": (2048, 64, 5120, 24, 32),
            "xxl": (4096, 64, 10240, 24, 64),
        }.items()
    },
}


def _model(name: str, config: dict[str, Any]) -> Any:
    import transformers

    family = name.partition("T5")[0] + "T5Config"
    return getattr(transformers, name)(getattr(transformers, family)(**config))


def _load(file: str) -> Any:
    """Returns the encoder, which has read its weights from the file, as its users' do."""
    import safetensors.numpy
    import transformers

    name, config, _ = FILES[file]
    encoder = getattr(transformers, name.partition("T5")[0] + "T5EncoderModel")
    with tempfile.TemporaryDirectory() as folder:
        _model(name, config).config.save_pretrained(folder)
        safetensors.numpy.save_file(draw_file(file), pathlib.Path(folder) / "model.safetensors", {"format": "pt"})
        loaded, report = encoder.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"], report
    assert all(key.startswith(("decoder.", "lm_head.")) for key in report["unexpected_keys"]), report
    return loaded.eval()


def _bin() -> dict[str, Any]:
    """Returns the arrays of the `.bin` file: torch's, by all their names."""
    import torch

    state = {name: torch.from_numpy(values) for name, values in draw_file(BIN_FILE).items()}
    tied = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    return state | dict.fromkeys(tied, state["shared.weight"])


_TEXTS = {FILE_NAMES: file_names, CONFIGS: configs, COUNTS: parameter_counts, BUCKETS: buckets}


def _write() -> None:
    import torch
    import transformers

    GOLDEN.mkdir(parents=True, exist_ok=True)
    for path, make in _TEXTS.items():
        path.write_text(make(), encoding="utf-8")
    torch.save(_bin(), BIN)
    arrays = {f"{case} {name}": values for case in CASES for name, values in compute(case).items()}
    np.savez(GOLDEN / "outputs.npz", **arrays)  # pyright: ignore[reportArgumentType]
    made = {
        "script": "tests/oracles/t5.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    (GOLDEN / "made.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def compare() -> None:
    """Computes afresh and compares with the goldens.

    Raises:
      AssertionError: an output differs by more than rounding.
    """
    import torch

    for path, make in _TEXTS.items():
        assert path.read_text(encoding="utf-8") == make(), path
    found, expected = torch.load(BIN), _bin()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], values) for name, values in expected.items())
    with np.load(GOLDEN / "outputs.npz") as golden:
        for case in CASES:
            for name, values in compute(case).items():
                expected = golden[f"{case} {name}"]
                np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4 * np.abs(expected).max(), err_msg=name)
    sys.stdout.write(f"T5: transformers' encoders give the goldens of {len(CASES)} cases\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        _write()
    compare()
