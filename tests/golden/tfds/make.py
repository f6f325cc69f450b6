"""Makes a small dataset by tensorflow_datasets, and `expected.json`: what tensorflow_datasets reads from it.

In an environment of its own: pip install tensorflow_datasets==4.9.10 tensorflow-cpu==2.21.0 pillow, then
python tests/golden/tfds/make.py. Made on 2026-11-28 with these versions.
"""

import hashlib
import io
import json
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

FOLDER = pathlib.Path(__file__).parent


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Images with what coco_captions has: captions in a sequence; and classes, nested texts and sequences of them."""

    VERSION = tfds.core.Version("1.1.0")
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="2014"),)

    def _info(self):
        nested = tfds.features.Sequence(tfds.features.Sequence(tfds.features.Text()))
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "image/filename": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["a cat", "dog", "ox"]),
            "captions": tfds.features.Sequence({"id": np.int64, "text": tfds.features.Text()}),
            "objects": {"tags": tfds.features.Sequence(tfds.features.Text()), "parts": nested},
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        del manager
        return {"train": self._generate_examples(0, 5), "restval": self._generate_examples(5, 7)}

    def _generate_examples(self, start, stop):
        for number in range(start, stop):
            captions = [{"id": 7, "text": f"one {number}"}, {"id": 8, "text": f"é {number}"}]
            yield (
                number,
                {
                    "image": _png(number),
                    "image/filename": f"{number}.png",
                    "label": number % 3,
                    "captions": captions[: number % 3],
                    "objects": {"tags": ["red", "round"][: number % 3], "parts": [["a", "b"], [], ["c"]][: number % 4]},
                },
            )


def _png(number):
    stream = io.BytesIO()
    Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(stream, "png")
    stream.seek(0)
    return stream


def _row(example, classes):
    return {
        "id": example["tfds_id"].decode(),
        "image_sha256": hashlib.sha256(example["image"]).hexdigest(),
        "label": classes[example["label"]],
        "texts": [text.decode() for text in example["captions"]["text"]],
        "tags": [text.decode() for text in example["objects"]["tags"]],
        "parts": [text.decode() for texts in example["objects"]["parts"] for text in texts],
    }


def main():
    """Replaces the dataset and the expected rows."""
    with tempfile.TemporaryDirectory() as scratch:
        builder = Tiny(data_dir=scratch, config="2014", file_format="tfrecord")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))
        reading = tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1)
        decoders = {"image": tfds.decode.SkipDecoding()}
        expected = {
            split: [
                _row(row, builder.info.features["label"].names)
                for row in builder.as_dataset(split=split, read_config=reading, decoders=decoders).as_numpy_iterator()
            ]
            for split in ("train", "restval")
        }
        shutil.rmtree(FOLDER / "1.1.0", ignore_errors=True)
        shutil.copytree(builder.data_dir, FOLDER / "1.1.0")
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
