"""Reference outputs of transformers' vision towers, from files that transformers itself names.

The names and shapes of each file come from `save_pretrained` and lie in tests/golden/towers/file_names.json; the
weights are drawn by name, so that the tests need neither torch nor transformers. Two-tower models are saved whole, text
side included, as their files are published.
"""

import json
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.oracles.drawing import draw_images, draw_torch_state

NUM_IMAGES = 2
FILE_NAMES = pathlib.Path(__file__).parents[1] / "golden" / "towers" / "file_names.json"
_SIZES = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3}
_TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 32, "vocab_size": 9}
# Four stages, as the published ones have; their widths double there.
_CONVNEXT = {"hidden_sizes": [32, 64, 96, 128], "depths": [2, 2, 3, 2], "image_size": 64}
_CLIP_VISION = {**_SIZES, "intermediate_size": 384, "patch_size": 16, "image_size": 80}

# file: (model's class, configuration, sides of the images; the first is the file's own)
FILES: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "dino": ("ViTModel", {**_SIZES, "intermediate_size": 384, "patch_size": 16, "image_size": 80}, (80, 112)),
    "dinov2": ("Dinov2Model", {**_SIZES, "patch_size": 14, "image_size": 98}, (98, 70)),
    "dinov2-swiglu": (
        "Dinov2Model",
        {**_SIZES, "patch_size": 14, "image_size": 70, "use_swiglu_ffn": True, "mlp_ratio": 4},
        (70, 98),
    ),
    "dinov2-registers": ("Dinov2WithRegistersModel", {**_SIZES, "patch_size": 14, "image_size": 98}, (98, 56, 140)),
    "siglip": (
        "SiglipModel",
        {"vision_config": {**_CLIP_VISION, "hidden_act": "gelu_pytorch_tanh"}, "text_config": _TEXT},
        (80, 112),
    ),
    "clip": ("CLIPModel", {"vision_config": _CLIP_VISION, "text_config": _TEXT, "projection_dim": 48}, (80, 112)),
    "clip-gelu": (
        "CLIPModel",
        {"vision_config": {**_CLIP_VISION, "hidden_act": "gelu"}, "text_config": _TEXT, "projection_dim": 48},
        (80, 48),
    ),
    # At 92 pixels the stages are 23, 11, 5 and 2 pixels wide: each begins by leaving a row and a column out.
    "convnext": ("ConvNextForImageClassification", _CONVNEXT, (64, 92)),
    "convnextv2": ("ConvNextV2ForImageClassification", _CONVNEXT, (64, 92)),
    "bit": (
        "BitModel",
        {"embedding_size": 32, "hidden_sizes": [128, 256, 512, 1024], "depths": [2, 1, 2, 1]},
        (96, 75),
    ),
    # R50x1's widths. BitConfig's width_factor is no way to x3: it leaves out the root and the last norm.
    "bit-full-width": (
        "BitModel",
        {"embedding_size": 64, "hidden_sizes": [256, 512, 1024, 2048], "depths": [1, 1, 1, 1]},
        (64, 81),
    ),
}
# With those of other modules, and how the embeddings of theirs are computed.
KNOWN = dict(FILES)
_OUTPUTS: dict[str, Callable[[Any, Any], dict[str, Any]]] = {}


def cases_of(files: Mapping[str, tuple[str, dict[str, Any], tuple[int, ...]]]) -> dict[str, tuple[str, int]]:
    """Returns the file and the side of the images of each case."""
    return {f"{file}-{side}": (file, side) for file, (_, _, sides) in files.items() for side in sides}


CASES = cases_of(FILES)


def register(
    files: Mapping[str, tuple[str, dict[str, Any], tuple[int, ...]]], outputs: Callable[[Any, Any], dict[str, Any]]
) -> Mapping[str, tuple[str, dict[str, Any], tuple[int, ...]]]:
    """Adds another module's files, which are described as `FILES` are, and returns them.

    Args:
      files: the files.
      outputs: from a model and images [n, 3, h, w] to its embeddings by pooling.
    """
    KNOWN.update(files)
    _OUTPUTS.update(dict.fromkeys(files, outputs))
    return files


def draw_file(file: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one of `KNOWN`."""
    shapes = json.loads(FILE_NAMES.read_text(encoding="utf-8"))[file]
    drawn = draw_torch_state({name: tuple(shape) for name, shape in shapes.items()})
    # Factors near one, so that each block counts.
    factors = ("lambda1", "layer_scale_parameter", "grn.weight", "gamma")
    return {name: values + 1 if name.endswith(factors) else values for name, values in drawn.items()}


def write_file_names() -> None:
    """Writes what `file_names` gives."""
    FILE_NAMES.write_text(file_names(), encoding="utf-8")


def file_names() -> str:
    """Returns the names and shapes of `KNOWN` as transformers saves them, as JSON."""
    import safetensors

    names: dict[str, dict[str, list[int]]] = {}
    for file, (model, config, _) in KNOWN.items():
        with tempfile.TemporaryDirectory() as folder:
            transformers_class(model)(make_config(model, config)).save_pretrained(folder)
            with safetensors.safe_open(f"{folder}/model.safetensors", "numpy") as saved:
                names[file] = {name: saved.get_slice(name).get_shape() for name in sorted(saved.keys())}
    return json.dumps(names, indent=0) + "\n"


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns, by pooling, float32 [2, output width]."""
    file, side = case.rsplit("-", 1)
    return embed(file, draw_images(case, NUM_IMAGES, int(side)))


def embed(file: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns, by pooling, what the model of one of `KNOWN` makes of images: float32 [n, output width].

    Args:
      file: its name.
      images: float32 [n, height, width, 3], in the model's range of values.
    """
    import torch

    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        model = _load(file)
        outputs = _OUTPUTS[file](model, pixels) if file in _OUTPUTS else _outputs(file, model, pixels)
    return {pooling: values.numpy() for pooling, values in outputs.items()}


def _outputs(file: str, model: Any, images: Any) -> dict[str, Any]:
    if file.startswith("bit"):
        return {"average": model(pixel_values=images).pooler_output[:, :, 0, 0]}
    if file.startswith("convnext"):
        found = model.base_model(pixel_values=images)
        return {"average": found.pooler_output, "average_unnormed": found.last_hidden_state.mean((-2, -1))}
    interpolate = {} if file.startswith("dinov2") else {"interpolate_pos_encoding": True}
    found = getattr(model, "vision_model", model)(pixel_values=images, **interpolate)
    if file == "siglip":
        return {"map": found.pooler_output}
    if file.startswith("clip"):
        return {"class_token": found.pooler_output, "projection": model.visual_projection(found.pooler_output)}
    num_others = 1 + getattr(model.config, "num_register_tokens", 0)
    tokens = found.last_hidden_state
    return {"class_token": tokens[:, 0], "average": tokens[:, num_others:].mean(1)}


def transformers_class(name: str) -> Any:
    """Returns a class of transformers."""
    import transformers

    return getattr(transformers, name)


def make_config(model: str, config: dict[str, Any]) -> Any:
    """Returns the configuration of one of `KNOWN`."""
    words = ("ForImageClassification", "Model")
    name = next(model.removesuffix(word) for word in words if model.endswith(word))
    return transformers_class(f"{name}Config")(**config)


def _load(file: str) -> Any:
    """Returns the model, which has read its weights from a file, as its users' do."""
    import safetensors.numpy

    model, config, _ = KNOWN[file]
    with tempfile.TemporaryDirectory() as folder:
        make_config(model, config).save_pretrained(folder)
        safetensors.numpy.save_file(draw_file(file), pathlib.Path(folder) / "model.safetensors", {"format": "pt"})
        loaded, report = transformers_class(model).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    return loaded.eval()
