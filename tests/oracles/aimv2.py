"""Reference outputs of AIMv2: of transformers' models, and of timm's at other sides.

Transformers' files are as `hugging_face` has them. Those of timm's cases have the names that Apple published first,
which timm reads; it alone resizes learned positions.
"""

import functools
import json
from typing import Any

import numpy as np

from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images

_SIZES = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 256}
_TEXT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 32, "vocab_size": 9}
_VISION = {**_SIZES, "image_size": 70}


def _outputs(model: Any, images: Any) -> dict[str, Any]:
    side = getattr(model, "vision_model", model)
    found = side(pixel_values=images)
    outputs = {"average": found.last_hidden_state.mean(1)}
    if side.use_head:
        outputs["map"] = found.pooler_output
    if side is not model:
        outputs["projection"] = model.visual_projection(found.pooler_output)
    return outputs


FILES = hugging_face.register(
    {
        "aimv2": ("Aimv2VisionModel", {**_VISION, "use_head": False}, (70,)),
        "aimv2-98": ("Aimv2VisionModel", {**_VISION, "image_size": 98, "use_head": False}, (98,)),
        "aimv2-head": ("Aimv2VisionModel", _VISION, (70,)),
        "aimv2-native": ("Aimv2VisionModel", {**_VISION, "use_head": False, "is_native": True}, (70, 112)),
        "aimv2-lit": (
            "Aimv2Model",
            {"vision_config": {**_VISION, "image_size": 98}, "text_config": _TEXT, "projection_dim": 48},
            (98,),
        ),
    },
    _outputs,
)
# What each of `FILES` says of itself: the `config.json` that transformers writes.
DESCRIBED = hugging_face.FILE_NAMES.with_name("aimv2_configs.json")
RESIZED = {f"aimv2-timm-{side}": side for side in (56, 70, 126)}
CASES = {**hugging_face.cases_of(FILES), **{case: ("aimv2", side) for case, side in RESIZED.items()}}


def original_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of transformers' file of an image side under the names that Apple published.

    Source: transformers' convert_aimv2_original_pytorch_to_hf.py, in the other direction.
    """
    words = (
        ("embeddings.patch_embed", "preprocessor.patchifier.proj"),
        ("embeddings.rms_norm", "preprocessor.patchifier.norm"),
        ("encoder.layers", "trunk.blocks"),
        ("attention.out_proj", "attn.proj"),
        ("ffn.gate_proj", "mlp.fc1"),
        ("ffn.up_proj", "mlp.fc3"),
        ("ffn.down_proj", "mlp.fc2"),
        (".rms_norm1", ".norm_1"),
        (".rms_norm2", ".norm_2"),
        ("head.k_proj", "head.k"),
        ("head.v_proj", "head.v"),
        ("head.output_proj", "head.linear"),
    )
    original: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name.startswith("rms_norm."):
            original[f"trunk.post_trunk_norm.{name.removeprefix('rms_norm.')}"] = array
        elif name == "embeddings.position_embedding.weight":
            original["preprocessor.pos_embed"] = array[None]
        elif name.endswith("attention.q_proj.weight"):
            parts = [arrays[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed = name.replace("encoder.layers", "trunk.blocks").replace("attention.q_proj", "attn.qkv")
            original[renamed] = np.concatenate(parts)
        elif not name.endswith(("attention.k_proj.weight", "attention.v_proj.weight")):
            original[functools.reduce(lambda spelt, pair: spelt.replace(*pair), words, name)] = array
    return original


def described() -> str:
    """Returns the content of `DESCRIBED`."""
    configs = {file: hugging_face.make_config(model, config).to_dict() for file, (model, config, _) in FILES.items()}
    return json.dumps(configs, indent=0, default=str) + "\n"


def write() -> None:
    """Writes `DESCRIBED`."""
    DESCRIBED.write_text(described(), encoding="utf-8")


def compare() -> None:
    """Raises AssertionError where transformers says something else."""
    assert DESCRIBED.read_text(encoding="utf-8") == described()


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns, by pooling, float32 [2, output width]."""
    return _compute_with_timm(case) if case in RESIZED else hugging_face.compute(case)


def _compute_with_timm(case: str) -> dict[str, np.ndarray]:
    import timm
    import torch
    from timm.models.vision_transformer import checkpoint_filter_fn

    side = RESIZED[case]
    sizes = {"embed_dim": 96, "depth": 3, "num_heads": 3, "mlp_ratio": 256 / 96}
    model = timm.create_model("aimv2_large_patch14_224", num_classes=0, img_size=side, **sizes).eval()
    state = {name: torch.from_numpy(array) for name, array in original_names(hugging_face.draw_file("aimv2")).items()}
    model.load_state_dict(checkpoint_filter_fn(state, model))
    images = draw_images(case, hugging_face.NUM_IMAGES, side).transpose(0, 3, 1, 2)
    with torch.no_grad():
        return {"average": model(torch.from_numpy(np.ascontiguousarray(images))).numpy()}
