"""Reference outputs of DINOv3: transformers' Vision Transformers and ConvNeXts, and timm's Vision Transformers.

Files are as `hugging_face` has them; timm is given the authors' names and makes its own of them. `dinov3_configs.json`
holds the `config.json` of each of `FILES` and of each of `PUBLISHED`, and the names of timm's parameters.
"""

import json
import pathlib
import re
from typing import Any

import numpy as np

from tests.oracles import hugging_face
from tests.oracles.drawing import draw_images

CONFIGS = pathlib.Path(__file__).parents[1] / "golden" / "towers" / "dinov3_configs.json"
_SIZES = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 128}
_REGISTERS = {"num_register_tokens": 4}
_GATED = {"use_gated_mlp": True, "hidden_act": "silu"}
_NO_BIAS = {"query_bias": False, "value_bias": False}


def _outputs(model: Any, images: Any) -> dict[str, Any]:
    found = model(pixel_values=images)
    if hasattr(model.config, "depths"):
        unnormed = model.model(images).last_hidden_state.mean((-2, -1))
        return {"average": found.pooler_output, "average_unnormed": unnormed}
    patches = found.last_hidden_state[:, 1 + model.config.num_register_tokens :]
    return {"class_token": found.pooler_output, "average": patches.mean(1)}


FILES = hugging_face.register(
    {
        "dinov3": ("DINOv3ViTModel", {**_SIZES, **_REGISTERS}, (80, 112)),
        # At 88 pixels half a patch is left out below and on the right.
        "dinov3-gated": ("DINOv3ViTModel", {**_SIZES, **_REGISTERS, **_GATED}, (112, 88)),
        "dinov3-no-bias": ("DINOv3ViTModel", {**_SIZES, **_REGISTERS, **_GATED, **_NO_BIAS}, (80, 96)),
        # What no published model has: biases of keys, no registers, other periods.
        "dinov3-other": (
            "DINOv3ViTModel",
            {**_SIZES, "key_bias": True, "rope_theta": 30.0, "layer_norm_eps": 1e-3, "patch_size": 8},
            (40, 56),
        ),
        # At 92 pixels the stages are 23, 11, 5 and 2 pixels wide.
        "dinov3-convnext": (
            "DINOv3ConvNextModel",
            {"hidden_sizes": [32, 64, 96, 128], "depths": [2, 1, 2, 1]},
            (64, 92),
        ),
    },
    _outputs,
)
# The same in timm: its name of the large one.
TIMM = {
    "dinov3": "vit_base_patch16_dinov3_qkvb",
    "dinov3-gated": "vit_huge_plus_patch16_dinov3_qkvb",
    "dinov3-no-bias": "vit_7b_patch16_dinov3",
}
TIMM_CASES = {f"{file}-timm-{side}": (file, side) for file in TIMM for side in (80, 112)}
CASES = {**hugging_face.cases_of(FILES), **TIMM_CASES}

# From Hugging Face's names to the authors', attention and the MLP with a gate apart.
_AUTHORS = (
    (r"^embeddings\.register_tokens", "storage_tokens"),
    (r"^embeddings\.patch_embeddings", "patch_embed.proj"),
    (r"^embeddings\.", ""),
    (r"^layer\.", "blocks."),
    (r"attention\.o_proj", "attn.proj"),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
)
_MLP = ((r"mlp\.up_proj", "mlp.fc1"), (r"mlp\.down_proj", "mlp.fc2"))
_GATED_MLP = ((r"mlp\.gate_proj", "mlp.w1"), (r"mlp\.up_proj", "mlp.w2"), (r"mlp\.down_proj", "mlp.w3"))


def authors_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of a Vision Transformer's file as the authors' have them: with a zero bias of keys.

    Source: transformers' convert_dinov3_vit_to_hf.py, in the other direction.
    """
    is_gated = "layer.0.mlp.gate_proj.weight" in arrays
    found: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if not re.search(r"attention\.[qkv]_proj", name):
            usual = name
            for pattern, replacement in _AUTHORS + (_GATED_MLP if is_gated else _MLP):
                usual = re.sub(pattern, replacement, usual)
            found[usual] = array
        elif "q_proj" in name:
            parts = [arrays.get(name.replace("q_proj", f"{part}_proj"), np.zeros_like(array)) for part in "qkv"]
            block, field = name.split(".")[1], name.rpartition(".")[2]
            found[f"blocks.{block}.attn.qkv.{field}"] = np.concatenate(parts)
    return found


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns, by pooling, float32 [2, output width]."""
    return _compute_with_timm(case) if case in TIMM_CASES else hugging_face.compute(case)


def _timm_model(file: str, side: int) -> Any:
    import timm

    width = _SIZES["hidden_size"]
    sizes = {"embed_dim": width, "depth": 2, "num_heads": 3, "mlp_ratio": _SIZES["intermediate_size"] / width}
    return timm.create_model(TIMM[file], num_classes=0, img_size=side, **sizes).eval()


def _compute_with_timm(case: str) -> dict[str, np.ndarray]:
    import torch
    from timm.models.eva import checkpoint_filter_fn

    file, side = TIMM_CASES[case]
    model = _timm_model(file, side)
    state = {name: torch.from_numpy(array) for name, array in authors_names(hugging_face.draw_file(file)).items()}
    model.load_state_dict(checkpoint_filter_fn(state, model))
    images = draw_images(case, hugging_face.NUM_IMAGES, side).transpose(0, 3, 1, 2)
    with torch.no_grad():
        tokens = model.forward_features(torch.from_numpy(np.ascontiguousarray(images)))
    return {"class_token": tokens[:, 0].numpy(), "average": tokens[:, model.num_prefix_tokens :].mean(1).numpy()}


def _vit(width: int, depth: int, num_heads: int, mlp_width: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": num_heads}
    return "DINOv3ViTModel", {**sizes, "intermediate_size": mlp_width, **_REGISTERS, **fields}


def _convnext(width: int, *depths: int) -> tuple[str, dict[str, Any]]:
    return "DINOv3ConvNextModel", {"hidden_sizes": [width << stage for stage in range(4)], "depths": [*depths]}


# The sizes in the scripts by which transformers converted the authors' files.
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "facebook/dinov3-vits16-pretrain-lvd1689m": _vit(384, 12, 6, 1536),
    "facebook/dinov3-vits16plus-pretrain-lvd1689m": _vit(384, 12, 6, 1536, **_GATED),
    "facebook/dinov3-vitb16-pretrain-lvd1689m": _vit(768, 12, 12, 3072),
    "facebook/dinov3-vitl16-pretrain-lvd1689m": _vit(1024, 24, 16, 4096),
    "facebook/dinov3-vith16plus-pretrain-lvd1689m": _vit(1280, 32, 20, 5120, **_GATED),
    "facebook/dinov3-vit7b16-pretrain-lvd1689m": _vit(4096, 40, 32, 8192, **_GATED, **_NO_BIAS),
    "facebook/dinov3-convnext-tiny-pretrain-lvd1689m": _convnext(96, 3, 3, 9, 3),
    "facebook/dinov3-convnext-small-pretrain-lvd1689m": _convnext(96, 3, 3, 27, 3),
    "facebook/dinov3-convnext-base-pretrain-lvd1689m": _convnext(128, 3, 3, 27, 3),
    "facebook/dinov3-convnext-large-pretrain-lvd1689m": _convnext(192, 3, 3, 27, 3),
}


def configs() -> str:
    """Returns the content of `dinov3_configs.json`, for the published ones with the number of their parameters."""
    found: dict[str, Any] = {"files": {}, "published": {}, "timm": {}}
    for file, (model, fields, _) in FILES.items():
        found["files"][file] = hugging_face.make_config(model, fields).to_dict()
    for name, (model, fields) in PUBLISHED.items():
        config = hugging_face.make_config(model, fields)
        found["published"][name] = {"config": config.to_dict(), "num_parameters": _num_parameters(model, config)}
    for file in TIMM:
        found["timm"][file] = {name: [*array.shape] for name, array in _timm_model(file, 80).state_dict().items()}
    return json.dumps(found, indent=0, default=str) + "\n"


def _num_parameters(model: str, config: Any) -> int:
    """Returns how many parameters a model has, without those of training alone."""
    import torch

    with torch.device("meta"):  # without memory
        made = hugging_face.transformers_class(model)(config)
    return sum(values.numel() for name, values in made.named_parameters() if not name.endswith("mask_token"))


def write() -> None:
    """Writes `dinov3_configs.json`."""
    CONFIGS.write_text(configs(), encoding="utf-8")


def compare() -> None:
    """Raises AssertionError where transformers writes something else."""
    assert CONFIGS.read_text(encoding="utf-8") == configs()
