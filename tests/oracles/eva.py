"""Reference outputs of EVA-02 and Perception Encoder, from timm, which reads timm's names and the authors'.

The names and shapes of each file are those of timm's state_dict and lie in tests/golden/towers/timm_file_names.json;
the weights are drawn by name. The authors' files are the same arrays under the names that their code gives them; timm's
own `checkpoint_filter_fn` turns these into timm's, and resizes positions.
"""

import json
import pathlib
import re
from typing import Any, NamedTuple

import numpy as np

from tests.oracles.drawing import draw_images, draw_torch_state

NUM_IMAGES = 2
FILE_NAMES = pathlib.Path(__file__).parents[1] / "golden" / "towers" / "timm_file_names.json"
_SIZES = {"embed_dim": 96, "depth": 2, "num_heads": 3}


class File(NamedTuple):
    """A small model: timm's name of the large one, what differs from it, and the sides of the images.

    The file's positions are for the first side. `authors` is whether timm is given the authors' names. `counts_on` is
    whether rows and columns are not scaled to the grid of the training.
    """

    architecture: str
    fields: dict[str, Any]
    sides: tuple[int, ...]
    authors: bool = True
    counts_on: bool = False


_PE: dict[str, Any] = {**_SIZES, "num_classes": 48}
FILES = {
    # The gate and the MLP's first layer are one array, and so are queries, keys and values.
    "eva02-joined": File("eva02_tiny_patch14_224", {**_SIZES, "num_classes": 0}, (70, 98)),
    "eva02": File("eva02_base_patch14_224", {**_SIZES, "num_classes": 0}, (98, 56)),
    "eva02-clip": File("eva02_base_patch16_clip_224", _PE, (80, 112)),
    "eva02-after": File("eva02_enormous_patch14_clip_224", {**_PE, "mlp_ratio": 4}, (70, 98)),
    "pe": File("vit_pe_core_base_patch16_224", _PE, (80, 112), authors=False),
    "pe-no-token": File("vit_pe_core_gigantic_patch14_448", {**_PE, "mlp_ratio": 4}, (98, 70), authors=False),
    # As the authors resize: rows and columns are counted on, positions bilinear.
    "pe-authors": File("vit_pe_core_base_patch16_224", _PE, (80, 112), counts_on=True),
    "pe-authors-no-token": File("vit_pe_core_gigantic_patch14_448", {**_PE, "mlp_ratio": 4}, (98, 70), counts_on=True),
}
CASES = {f"{name}-{side}": (name, side) for name, file in FILES.items() for side in file.sides}


def draw_file(name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one of `FILES` under timm's names."""
    shapes = json.loads(FILE_NAMES.read_text(encoding="utf-8"))[name]
    return draw_torch_state({key: tuple(shape) for key, shape in shapes.items()})


def draw_authors_file(name: str) -> dict[str, np.ndarray]:
    """Returns the same arrays under the authors' names, with what else their files hold."""
    arrays = draw_file(name)
    return _as_perception_encoder(arrays) if name.startswith("pe") else _as_eva(name, arrays)


_EVA = (
    (r"mlp\.fc1_g\.", "mlp.w1."),
    (r"mlp\.fc1_x\.", "mlp.w2."),
    (r"mlp\.norm\.", "mlp.ffn_ln."),
    (r"attn\.norm\.", "attn.inner_attn_ln."),
    (r"attn\.([qv])_proj\.bias", r"attn.\1_bias"),
    (r"^fc_norm\.", "norm."),
)
_PERCEPTION_ENCODER = (
    (r"^blocks\.", "transformer.resblocks."),
    (r"patch_embed\.proj", "conv1"),
    (r"^norm_pre\.", "ln_pre."),
    (r"^norm\.", "ln_post."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"attn\.qkv\.", "attn.in_proj_"),
    (r"attn\.proj\.", "attn.out_proj."),
    (r"attn_pool\.proj\.", "attn_pool.attn.out_proj."),
    (r"attn_pool\.norm\.", "attn_pool.layernorm."),
    (r"attn_pool\.latent", "attn_pool.probe"),
    (r"mlp\.fc1\.", "mlp.c_fc."),
    (r"mlp\.fc2\.", "mlp.c_proj."),
)


def _respelt(name: str, spellings: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in spellings:
        name = re.sub(pattern, replacement, name)
    return name


def _as_eva(name: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays as baaivision/EVA has them: of the masked pre-training, or of one tower of two."""
    spellings = _EVA
    if name != "eva02-after":
        # xformers' gated MLP joins gate and first layer.
        spellings += ((r"mlp\.fc1\.", "mlp.w12."), (r"mlp\.fc2\.", "mlp.w3."))
    found = {_respelt(key, spellings): array for key, array in arrays.items()}
    if name in ("eva02-clip", "eva02-after"):
        return {f"visual.{key}": array for key, array in found.items()} | {"logit_scale": np.zeros((), np.float32)}
    rotations = {f"rope.freqs_{part}": np.zeros((25, 32), np.float32) for part in ("cos", "sin")}
    head = {"lm_head.weight": np.zeros((9, 96), np.float32), "lm_head.bias": np.zeros(9, np.float32)}
    return found | {"mask_token": np.zeros((1, 1, 96), np.float32)} | rotations | head


def _as_perception_encoder(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays as facebookresearch/perception_models has them, with a little of the text tower."""
    left = dict(arrays)
    del left["head.bias"]  # theirs has none
    found = {
        "proj": np.ascontiguousarray(left.pop("head.weight").T),
        "positional_embedding": left.pop("pos_embed")[0],
    }
    if "cls_token" in left:
        found["class_embedding"] = left.pop("cls_token")[0, 0]
    for field in ("weight", "bias"):
        parts = [left.pop(f"attn_pool.{part}.{field}") for part in ("q", "kv")]
        found[f"attn_pool.attn.in_proj_{field}"] = np.concatenate(parts)
    found |= {_respelt(key, _PERCEPTION_ENCODER): array for key, array in left.items()}
    text = {"token_embedding.weight": np.zeros((9, 32), np.float32), "logit_scale": np.zeros((), np.float32)}
    return {f"visual.{key}": array for key, array in found.items()} | text


def write_file_names() -> None:
    """Writes what `file_names` gives."""
    FILE_NAMES.write_text(file_names(), encoding="utf-8")


def file_names() -> str:
    """Returns the names and shapes of `FILES` in timm's state_dict, as JSON."""
    names = {
        name: {key: list(values.shape) for key, values in sorted(_make(name, file.sides[0]).state_dict().items())}
        for name, file in FILES.items()
    }
    return json.dumps(names, indent=0) + "\n"


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns, by pooling, float32 [2, output width]."""
    import torch
    from timm.layers import global_pool_nlc

    name, side = CASES[case]
    model = _load(name, side)
    images = torch.from_numpy(np.ascontiguousarray(draw_images(case, NUM_IMAGES, side).transpose(0, 3, 1, 2)))
    with torch.no_grad():
        tokens = model.forward_features(images)

        def pool(kind: str) -> Any:
            return model.fc_norm(global_pool_nlc(tokens, kind, num_prefix_tokens=model.num_prefix_tokens))

        found = {"average": pool("avg")}
        if model.cls_token is not None:
            found["class_token"] = pool("token")
        if model.attn_pool is not None:
            found["map"] = model.forward_head(tokens, pre_logits=True)
        if model.num_classes:
            found["projection"] = model(images)
    return {pooling: values.numpy() for pooling, values in found.items()}


def _make(name: str, side: int) -> Any:
    import timm

    file = FILES[name]
    fields = dict(file.fields)
    if file.counts_on:
        patch = int(re.search(r"patch(\d+)", file.architecture)[1])  # pyright: ignore[reportOptionalSubscript]
        fields["ref_feat_shape"] = side // patch  # timm scales by one
    return timm.create_model(file.architecture, pretrained=False, img_size=side, **fields).eval()


def _load(name: str, side: int) -> Any:
    """Returns the model, whose weights timm itself has converted and resized."""
    import torch
    from timm.models.eva import checkpoint_filter_fn

    model = _make(name, side)
    arrays = draw_authors_file(name) if FILES[name].authors else draw_file(name)
    state = {key: torch.from_numpy(array) for key, array in arrays.items()}
    resize = {}
    if name.startswith("pe-authors"):
        state = checkpoint_filter_fn(state, model)  # renames, and leaves positions as they are
        resize = {"interpolation": "bilinear", "antialias": False}
    model.load_state_dict(checkpoint_filter_fn(state, model, **resize), strict=True)
    return model
