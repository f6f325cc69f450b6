"""Folders as timm writes them: what `config.json` says of published and fine-tuned models, and what timm makes of one.

`timm_folders.json` has the content of `config.json` by name; `timm_folders.npz` the embedding that timm computes for an
image with the network, the weights and the transform that it finds in a folder.
"""

import json
import pathlib
import tempfile
from typing import Any

import numpy as np

from tests.oracles.drawing import draw_torch_state
from tests.oracles.processors import draw_image

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "towers"
DESCRIBED, EMBEDDINGS = GOLDEN / "timm_folders.json", GOLDEN / "timm_folders.npz"
# Registered towers, some of each family and each preprocessing.
PUBLISHED = (
    "eva02_tiny_patch14_224.mim_in22k",
    "eva02_large_patch14_448.mim_m38m_ft_in22k_in1k",
    "eva02_base_patch16_clip_224.merged2b",
    "eva02_enormous_patch14_clip_224.laion2b_plus",
    "vit_pe_core_base_patch16_224.fb",
    "vit_pe_core_gigantic_patch14_448.fb",
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit_small_patch32_384.augreg_in21k_ft_in1k",
    "vit_base_patch16_224.dino",
    "vit_base_patch16_siglip_256.v2_webli",
    "mixer_b16_224.goog_in21k",
    "resnetv2_50x1_bit.goog_in21k",
    "convnext_tiny.fb_in22k",
    "convnextv2_atto.fcmae_ft_in1k",
    "tf_efficientnet_lite0.in1k",
)
# name: (architecture with its tag, what the fine-tuned model has otherwise)
FINE_TUNED: dict[str, tuple[str, dict[str, Any]]] = {
    "eva02": ("eva02_tiny_patch14_336.mim_in22k_ft_in1k", {"num_classes": 7, "img_size": 112}),
    "vit": ("vit_tiny_patch16_224.augreg_in21k", {"num_classes": 7}),
}


def odd_image() -> np.ndarray:
    """Returns uint8 [45, 69, 3]: at a short side of 112 a crop of 112 begins after 29.5 columns."""
    return np.ascontiguousarray(draw_image()[:, :69])


def described() -> str:
    """Returns the content of `timm_folders.json`."""
    import torch

    found: dict[str, dict[str, Any]] = {"published": {}, "fine_tuned": {}}
    with torch.device("meta"):
        for name in PUBLISHED:
            found["published"][name] = _config(_make(name))
    for case, (name, fields) in FINE_TUNED.items():
        found["fine_tuned"][case] = _config(_make(name, **fields))
    return json.dumps(found, indent=0) + "\n"


def embeddings() -> dict[str, np.ndarray]:
    """Returns float32 [1, width] for each of `FINE_TUNED`: what the classifier is given."""
    import PIL.Image
    import timm
    import timm.data
    import torch
    from timm.models import save_for_hf

    found: dict[str, np.ndarray] = {}
    image = PIL.Image.fromarray(odd_image())
    for case, (name, fields) in FINE_TUNED.items():
        model = _make(name, **fields)
        shapes = {key: tuple(values.shape) for key, values in model.state_dict().items()}
        model.load_state_dict({key: torch.from_numpy(array) for key, array in draw_torch_state(shapes).items()})
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            save_for_hf(model, folder)
            loaded: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
            transform: Any = timm.data.create_transform(**timm.data.resolve_model_data_config(loaded))
            features = loaded.forward_features(transform(image)[None])
            found[case] = loaded.forward_head(features, pre_logits=True).numpy()
    return found


def write() -> None:
    """Writes both goldens."""
    DESCRIBED.write_text(described(), encoding="utf-8")
    np.savez(EMBEDDINGS, **embeddings())  # pyright: ignore[reportArgumentType]


def compare() -> None:
    """Raises AssertionError where timm says or computes something else."""
    assert DESCRIBED.read_text(encoding="utf-8") == described()
    with np.load(EMBEDDINGS) as golden:
        for case, values in embeddings().items():
            np.testing.assert_allclose(values, golden[case], rtol=0, atol=1e-5 * np.abs(golden[case]).max())


def _make(name: str, **fields: Any) -> Any:
    import timm

    return timm.create_model(name, pretrained=False, **fields)


def _config(model: Any) -> dict[str, Any]:
    """Returns what timm writes beside a model's weights."""
    from timm.models._hub import save_config_for_hf

    with tempfile.TemporaryDirectory() as folder:
        save_config_for_hf(model, f"{folder}/config.json")
        return json.loads(pathlib.Path(folder, "config.json").read_text(encoding="utf-8"))
