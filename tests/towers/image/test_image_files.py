"""From the bytes of real image files to embeddings, against transformers' processors and models (tests/oracles)."""

import json

import numpy as np
import pytest
import safetensors.numpy

from lit_precompute.precompute.embedder import Embedder
from lit_precompute.precompute.images.preprocessing import load
from lit_precompute.towers.loading import load_tower
from tests.oracles import hugging_face, image_files
from tests.towers.parity import golden

DESCRIBED = json.loads(image_files.DESCRIBED.read_text(encoding="utf-8"))


def _load_folder(folder, case):
    for name, content in (("config", "config"), ("preprocessor_config", "processor")):
        (folder / f"{name}.json").write_text(json.dumps(DESCRIBED[case][content]), encoding="utf-8")
    safetensors.numpy.save_file(hugging_face.draw_file(case), folder / "model.safetensors")
    return load_tower(str(folder), pooling=image_files.CASES[case][0])


@pytest.mark.parametrize("case", image_files.CASES)
def test_embeddings_of_image_files_are_those_of_transformers(tmp_path, case):
    """24 PNGs and 4 JPEGs, to 1e-4 of the largest value; found: 9e-6 (BiT), else 1.3e-6."""
    tower = _load_folder(tmp_path, case)
    embedder = Embedder(tower, batch_size=len(image_files.paths()))
    batch = embedder.take_batch()
    for place, path in enumerate(image_files.paths()):
        batch[place] = load(path.read_bytes(), tower.preprocessing)
    found, expected = np.asarray(embedder.start(batch)), golden("image_files", f"{case} {tower.pooling}")
    assert found.shape == expected.shape and len(found) == 28
    scale = np.abs(expected).max()
    # Images' embeddings differ by more than the tolerance, or those of other images would do.
    apart = np.abs(expected[:, None] - expected).max(axis=-1)[np.triu_indices(28, 1)]
    assert apart.min() > 4e-4 * scale
    assert np.abs(found - expected).max() <= 1e-4 * scale
