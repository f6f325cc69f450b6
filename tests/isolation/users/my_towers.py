"""A user's own module: a tower of means and one matrix, and a DoFn of the user's own that embeds with it."""

import io
import json
import pathlib
import sys

import apache_beam as beam
import flax.linen as nn
import numpy as np
from PIL import Image

import lit_precompute as lit


class Means(nn.Module):
    """Embeds an image by its mean colour."""

    @nn.compact
    def __call__(self, images):
        """Returns (n, 4) embeddings."""
        return nn.Dense(4, name="head")(images.mean((1, 2)))


lit.register_image_tower("test-means", lit.flax_entry(Means(), family="means", preprocessing=lit.Preprocessing(size=8)))


class EmbedUrls(beam.DoFn):
    """Embeds images by their URLs, and writes each embedding, and where this runs, to a folder."""

    def __init__(self, weights, output, hidden):
        """Takes URLs of the weights and of the folder, and what must not be visible."""
        self._weights, self._output, self._hidden = weights, output, hidden

    def setup(self):
        """Loads the tower."""
        self._tower = lit.load_image_tower("my_towers:test-means", self._weights)

    def process(self, element):
        """Embeds one image."""
        from lit_precompute.schemas.storage import open_file, open_folder

        with open_file(element) as file:
            image = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB").resize((8, 8)), np.float32)
        embedding = np.asarray(self._tower.apply(self._tower.parameters, image[None] / 255))[0]
        said = {
            "embedding": [round(float(number), 4) for number in embedding],
            "package": lit.__file__,
            "module": __file__,
            "prefix": sys.prefix,
            "cwd": str(pathlib.Path.cwd()),
            "visible": [path for path in self._hidden if any(pathlib.Path(path).glob("*"))],
        }
        name = element.rpartition("/")[2] + ".json"
        assert open_folder(self._output).create(name, json.dumps(said).encode())
        yield name
