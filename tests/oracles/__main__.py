"""Computes every reference output afresh and compares it with the goldens: `make oracles`.

.venv-oracles/bin/python -m tests.oracles            # compare
.venv-oracles/bin/python -m tests.oracles --write    # write the towers' goldens anew
"""

import datetime
import json
import pathlib
import sys

import numpy as np
import torch
import transformers

from tests.oracles import (
    aimv2,
    bert,
    dinov3,
    dropout,
    efficientnet,
    eva,
    exported,
    hugging_face,
    image_files,
    processors,
    siglip_text,
    t5,
    text_tower,
    timm_folders,
    tokenization,
    torch_files,
    vit,
)

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "towers"
WEIGHTS = GOLDEN.parent / "weights"
FAMILIES = {
    "vit": vit,
    "hugging_face": hugging_face,
    "efficientnet-lite0": efficientnet,
    "dinov3": dinov3,
    "aimv2": aimv2,
    "eva": eva,
    "image_files": image_files,
}


def compute() -> dict[str, dict[str, np.ndarray]]:
    """Returns each golden file's arrays, by "case pooling"."""
    return {
        family: {
            f"{case} {pooling}": values for case in oracle.CASES for pooling, values in oracle.compute(case).items()
        }
        for family, oracle in FAMILIES.items()
    }


def write() -> None:
    """Writes the goldens and what they were made with."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    WEIGHTS.mkdir(exist_ok=True)
    torch_files.write(WEIGHTS)
    hugging_face.write_file_names()
    eva.write_file_names()
    processors.write()
    dinov3.write()
    aimv2.write()
    timm_folders.write()
    image_files.write()
    for family, arrays in compute().items():
        np.savez(GOLDEN / f"{family}.npz", **arrays)  # pyright: ignore[reportArgumentType]
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}
    made = {"script": "python -m tests.oracles --write", "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    (GOLDEN / "made.json").write_text(json.dumps(made | versions, indent=1) + "\n", encoding="utf-8")


def compare() -> None:
    """Raises AssertionError where a fresh output differs from its golden by more than rounding."""
    text_tower.compare()
    bert.compare()
    dropout.compare()
    siglip_text.compare()
    exported.compare()
    t5.compare()
    tokenization.compare()
    torch_files.compare(WEIGHTS)
    assert hugging_face.FILE_NAMES.read_text(encoding="utf-8") == hugging_face.file_names()
    assert eva.FILE_NAMES.read_text(encoding="utf-8") == eva.file_names()
    processors.compare()
    dinov3.compare()
    aimv2.compare()
    timm_folders.compare()
    image_files.compare()
    sys.stdout.write(f"torch reads {', '.join(torch_files.FILES)} as the tests do\n")
    for family, arrays in compute().items():
        with np.load(GOLDEN / f"{family}.npz") as golden:
            assert set(golden) == set(arrays), (sorted(golden), sorted(arrays))
            for name, values in arrays.items():
                np.testing.assert_allclose(values, golden[name], rtol=0, atol=1e-5 * np.abs(golden[name]).max())
        sys.stdout.write(f"{family}: torch gives the {len(arrays)} goldens\n")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    compare()
