"""Embeddings of image files by transformers alone: its processors and models, on images that Pillow decodes.

The images are in tests/golden/images. Processors are those that resize with Pillow; DINOv3's resizes floats with
torchvision. `image_files.json` has the `config.json` and `preprocessor_config.json` of each case.

.venv-oracles/bin/python -m tests.oracles.image_files            # how much the choice of the library changes
.venv-oracles/bin/python -m tests.oracles.image_files --jpegs    # write the JPEGs anew
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np

from tests.oracles import aimv2, dinov3, hugging_face, processors

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
IMAGES, DESCRIBED = GOLDEN / "images", GOLDEN / "towers" / "image_files.json"
_MEAN, _DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# A case is one of `hugging_face.KNOWN`: (pooling, processor's class, its settings)
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "dino": ("class_token", *processors.OF_FILES["dino"]),
    "dinov2": ("class_token", *processors.OF_FILES["dinov2"]),
    "siglip": ("map", *processors.OF_FILES["siglip"]),
    "clip": ("projection", *processors.OF_FILES["clip"]),
    "convnext": ("average", *processors.OF_FILES["convnext"]),
    "bit": ("average", *processors.OF_FILES["bit"]),
    "dinov3": ("class_token", "DINOv3ViTImageProcessor", {"size": processors.square(80)}),
    "aimv2": ("average", "CLIPImageProcessor", processors.cropped(70, 70)),
}
assert {"dinov3", "aimv2"} <= {*dinov3.FILES, *aimv2.FILES}
# name of a PNG: how it is written as a JPEG
_JPEGS: dict[str, dict[str, Any]] = {
    "pirate_henry_every": {"quality": 95, "subsampling": "4:4:4"},
    "orso_architetto_francesc_03": {"quality": 80, "subsampling": "4:2:0", "progressive": True},
    "simple_jk_b": {"quality": 90, "subsampling": "4:2:2"},
    "grain_elevator_ganson": {"quality": 85},  # grey
}


def paths() -> list[pathlib.Path]:
    """Returns the images, in the order of the embeddings."""
    return sorted(path for path in IMAGES.iterdir() if path.suffix in (".png", ".jpg"))


def decode(path: pathlib.Path) -> np.ndarray:
    """Returns an image, transparent parts laid over white: uint8 [height, width, 3]."""
    from PIL import Image

    with Image.open(path) as image:
        if image.mode not in ("RGBA", "LA") and "transparency" not in image.info:
            return np.array(image.convert("RGB"))
        over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return np.array(Image.alpha_composite(white, over).convert("RGB"))


def compute(case: str) -> dict[str, np.ndarray]:
    """Returns the embeddings of all images by the case's pooling, float32 [28, width]."""
    pooling, name, settings = CASES[case]
    prepared = np.stack([processors.prepare(name, settings, decode(path)) for path in paths()])
    return {pooling: hugging_face.embed(case, prepared)[pooling]}


def described() -> str:
    """Returns the content of `image_files.json`."""
    found: dict[str, Any] = {}
    for case, (_, name, settings) in CASES.items():
        model, config, _ = hugging_face.KNOWN[case]
        configuration = hugging_face.make_config(model, config)
        configuration.architectures = [model]
        processor = hugging_face.transformers_class(name)(**settings)
        found[case] = {"config": configuration.to_dict(), "processor": processor.to_dict()}
    return json.dumps(found, indent=0, default=str) + "\n"


def write() -> None:
    """Writes `image_files.json`."""
    DESCRIBED.write_text(described(), encoding="utf-8")


def compare() -> None:
    """Raises AssertionError where transformers says something else."""
    assert DESCRIBED.read_text(encoding="utf-8") == described()


def write_jpegs() -> None:
    """Writes the JPEGs."""
    from PIL import Image

    for name, options in _JPEGS.items():
        image = Image.fromarray(decode(IMAGES / f"{name}.png"))
        image.convert("L" if name.startswith("grain") else "RGB").save(IMAGES / f"{name}.jpg", **options)


# Of each family, as published; DINOv3's authors squeeze to 256 pixels, timm and open_clip prepare as CLIP does.
_PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "dino": processors.DEFAULTS["google/vit-base-patch16-224"][2:],
    "dinov2": processors.DEFAULTS["facebook/dinov2-base"][2:],
    "siglip": processors.DEFAULTS["google/siglip-base-patch16-224"][2:],
    "clip": processors.DEFAULTS["openai/clip-vit-base-patch32"][2:],
    "convnext": processors.DEFAULTS["facebook/convnext-tiny-224"][2:],
    "bit": ("BitImageProcessor", {"size": processors.square(448), "crop_size": processors.square(448)}),
    "dinov3": ("DINOv3ViTImageProcessor", {}),
    "aimv2": ("CLIPImageProcessor", {}),
}


def differences() -> None:
    """Prints, for each family, by how much Pillow and torchvision differ on the 24 PNGs.

    In levels of 255, of the published preprocessing; and in the embeddings of `CASES`, relative to the largest value.
    """
    images = [decode(path) for path in paths() if path.suffix == ".png"]
    for case, (pooling, name, settings) in CASES.items():
        published, found = _both(*_PUBLISHED[case], images), _both(name, settings, images)
        levels = np.abs(published[0] - published[1]) / np.abs(_value_of_a_level(*_PUBLISHED[case]))
        one, other = (hugging_face.embed(case, pixels)[pooling] for pixels in found)
        relative = np.abs(one - other).max() / np.abs(one).max()
        share = (levels > 0.5).mean()
        line = f"{case}: {levels.max():.2f} levels, {share:.2%} of the values by one or more; embeddings {relative:.1e}"
        sys.stdout.write(f"{line}\n")


def _both(name: str, settings: dict[str, Any], images: list[np.ndarray]) -> list[np.ndarray]:
    """Returns what two processors make of images: the one of the oracles, and the other library's."""
    if name == "DINOv3ViTImageProcessor":
        other = {"size": processors.square(224), **settings, "image_mean": _MEAN, "image_std": _DEVIATION}
        made = hugging_face.transformers_class("ViTImageProcessorPil")(**other)
    else:
        made = hugging_face.transformers_class(name)(**settings)
    first = np.stack([processors.prepare(name, settings, image) for image in images])
    second = [
        made(image, input_data_format="channels_last", return_tensors="pt")["pixel_values"][0] for image in images
    ]
    return [first, np.stack(second).transpose(0, 2, 3, 1)]


def _value_of_a_level(name: str, settings: dict[str, Any]) -> np.ndarray:
    """Returns by how much a processor's values differ for pixels that differ by one, in each channel."""
    black, white = (np.full((9, 9, 3), level, np.uint8) for level in (0, 255))
    lowest, highest = (processors.prepare(name, settings, image)[0, 0] for image in (black, white))
    return (highest - lowest) / 255


if __name__ == "__main__":
    if "--jpegs" in sys.argv[1:]:
        write_jpegs()
    else:
        differences()
