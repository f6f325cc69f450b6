"""What transformers' image processors say of themselves, and what they make of an image.

`described.json` holds, for each of `hugging_face.FILES`, the `config.json` that transformers writes and a
`preprocessor_config.json` that fits it; for each of `DEFAULTS`, the same of a published model, which the classes'
defaults are; and for each of `PROCESSORS` the latter alone. `processors.npz` has the pixels of the processors that
resize with Pillow, as the published models were trained and measured; of DINOv3, which has no such processor, those of
its own, which resizes floats with torchvision.
"""

import json
import pathlib
from typing import Any

import numpy as np

from tests.oracles import hugging_face
from tests.oracles.drawing import draw

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "towers"
DESCRIBED, PIXELS = GOLDEN / "described.json", GOLDEN / "processors.npz"
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def square(side: int) -> dict[str, int]:
    """Returns a processor's size that images are squeezed to."""
    return {"height": side, "width": side}


def cropped(side: int, short_side: int) -> dict[str, Any]:
    """Returns the settings of a resize of the short side, and a crop."""
    return {"size": {"shortest_edge": short_side}, "crop_size": square(side)}


# file of hugging_face.FILES: (processor's class, its settings)
OF_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "dino": ("ViTImageProcessor", {"size": square(80), **_IMAGENET}),
    "dinov2": ("BitImageProcessor", {**cropped(98, 112), **_IMAGENET}),
    "dinov2-swiglu": ("BitImageProcessor", {**cropped(70, 80), **_IMAGENET}),
    "dinov2-registers": ("BitImageProcessor", {**cropped(98, 112), **_IMAGENET}),
    "siglip": ("SiglipImageProcessor", {"size": square(80)}),
    "clip": ("CLIPImageProcessor", cropped(80, 80)),
    "clip-gelu": ("CLIPImageProcessor", cropped(80, 80)),
    "convnext": ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, **_IMAGENET}),
    "convnextv2": ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, **_IMAGENET}),
    "bit": ("BitImageProcessor", cropped(96, 96)),
    "bit-full-width": ("BitImageProcessor", cropped(64, 64)),
}
# published model: (configuration's class, its fields, processor's class, its settings)
DEFAULTS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "google/vit-base-patch16-224": ("ViTConfig", {}, "ViTImageProcessor", {}),
    "facebook/dinov2-base": ("Dinov2Config", {}, "BitImageProcessor", {**cropped(224, 256), **_IMAGENET}),
    "facebook/dinov2-giant": (
        "Dinov2Config",
        {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True},
        "BitImageProcessor",
        {**cropped(224, 256), **_IMAGENET},
    ),
    "facebook/dinov2-with-registers-base": (
        "Dinov2WithRegistersConfig",
        {"patch_size": 14},
        "BitImageProcessor",
        {**cropped(224, 256), **_IMAGENET},
    ),
    "openai/clip-vit-base-patch32": ("CLIPConfig", {}, "CLIPImageProcessor", {}),
    "google/siglip-base-patch16-224": ("SiglipConfig", {}, "SiglipImageProcessor", {}),
    "facebook/convnext-tiny-224": (
        "ConvNextConfig",
        {},
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 224}, "resample": 3, **_IMAGENET},
    ),
    "facebook/convnextv2-tiny-1k-224": (
        "ConvNextV2Config",
        {},
        "ConvNextImageProcessor",
        {"size": {"shortest_edge": 224}, "resample": 3, **_IMAGENET},
    ),
}
# case: (processor's class, its settings), small
PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("ViTImageProcessor", {"size": square(24)}),
    "vit-bicubic": ("ViTImageProcessor", {"size": square(24), "resample": 3, **_IMAGENET}),
    "vit-unnormed": ("ViTImageProcessor", {"size": square(24), "do_normalize": False}),
    "deit": ("DeiTImageProcessor", {"size": square(32), "crop_size": square(24)}),
    "clip": ("CLIPImageProcessor", cropped(24, 24)),
    "clip-uncropped": ("CLIPImageProcessor", {"size": square(24), "do_center_crop": False}),
    "siglip": ("SiglipImageProcessor", {"size": square(24)}),
    "bit": ("BitImageProcessor", {**cropped(24, 29), **_IMAGENET}),
    "convnext": ("ConvNextImageProcessor", {"size": {"shortest_edge": 24}, "resample": 3, **_IMAGENET}),
    "convnext-384": ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}, "resample": 3}),
    "dinov3": ("DINOv3ViTImageProcessor", {"size": square(24)}),
    "dinov3-enlarged": ("DINOv3ViTImageProcessor", {"size": square(72), "resample": 3}),
    "dinov3-cropped": ("DINOv3ViTImageProcessor", {**cropped(24, 29), "do_center_crop": True}),
    "dinov3-unnormed": ("DINOv3ViTImageProcessor", {"size": square(24), "do_normalize": False}),
}
# Their pixels would be a megabyte.
_WITHOUT_PIXELS = ("convnext-384",)
_WITHOUT_PILLOW = ("DINOv3ViTImageProcessor",)


def draw_image() -> np.ndarray:
    """Returns uint8 [45, 70, 3], with edges and noise."""
    noise = draw("processed image", (45, 70, 3)) * 30
    stripes = 100 * (np.arange(70) // 9 % 2)[None, :, None] + 50 * (np.arange(45) // 7 % 2)[:, None, None]
    return np.clip(noise + stripes + np.array([20, 40, 60]), 0, 255).astype(np.uint8)


def described() -> str:
    """Returns the content of `described.json`."""
    found: dict[str, dict[str, Any]] = {"files": {}, "published": {}, "processors": {}}
    for file, (model, config, _) in hugging_face.FILES.items():
        name, settings = OF_FILES[file]
        configuration = hugging_face.make_config(model, config)
        configuration.architectures = [model]
        found["files"][file] = {"config": configuration.to_dict(), "processor": _processor(name, settings).to_dict()}
    for model, (config_class, fields, name, settings) in DEFAULTS.items():
        config = hugging_face.transformers_class(config_class)(**fields).to_dict()
        found["published"][model] = {"config": config, "processor": _processor(name, settings).to_dict()}
    for case, (name, settings) in PROCESSORS.items():
        found["processors"][case] = _processor(name, settings).to_dict()
    return json.dumps(found, indent=0, default=str) + "\n"


def pixels() -> dict[str, np.ndarray]:
    """Returns what each of `PROCESSORS` makes of the image: float32 [height, width, 3]."""
    found: dict[str, np.ndarray] = {}
    for case, (name, settings) in PROCESSORS.items():
        if case not in _WITHOUT_PIXELS:
            found[case] = prepare(name, settings, draw_image())
    return found


def prepare(name: str, settings: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Returns what a processor makes of an image: float32 [height, width, 3].

    Args:
      name: the processor's class; the one that resizes with Pillow is taken where there is one.
      settings: its settings.
      image: uint8 [height, width, 3].
    """
    kind = name if name in _WITHOUT_PILLOW else f"{name}Pil"
    values = _processor(kind, settings)(image, input_data_format="channels_last", return_tensors="pt")["pixel_values"]
    return np.asarray(values[0], np.float32).transpose(1, 2, 0)


def write() -> None:
    """Writes both goldens."""
    DESCRIBED.write_text(described(), encoding="utf-8")
    np.savez(PIXELS, **pixels())  # pyright: ignore[reportArgumentType]


def compare() -> None:
    """Raises AssertionError where transformers says or computes something else."""
    assert DESCRIBED.read_text(encoding="utf-8") == described()
    with np.load(PIXELS) as golden:
        for case, values in pixels().items():
            np.testing.assert_allclose(values, golden[case], rtol=0, atol=1e-6)


def _processor(name: str, settings: dict[str, Any]) -> Any:
    return hugging_face.transformers_class(name)(**settings)
