"""Finds images that look alike: a Beam pipeline of one's own around `EmbedImages`.

    python examples/near_duplicates.py --table images/captions.tsv --tower google/vit-base-patch16-224 --output found

The table is tab-separated, with a line of names; its first column has the images: URLs, or paths beside the table.
Written are `OUTPUT/embeddings-*.parquet` (key, embedding), `OUTPUT/pairs-*.tsv` (similarity, two keys) and
`OUTPUT/failures-*.tsv` (key, reason). Other flags go to Beam.

Two images are compared if they fall on the same side of all planes of one of several random sets (locality-sensitive
hashing): of pairs with a cosine of 0.95, 998 of 1,000 are found, and few of the others are compared.
"""

import argparse
import itertools

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import lit_precompute as lit

NUM_SETS, NUM_PLANES = 32, 16
SCHEMA = pa.schema([("key", pa.string()), ("embedding", pa.list_(pa.float32()))])


def image_of(line: str, folder: str) -> tuple[str, str]:
    """Returns a row's key and where its image is."""
    name = line.split("\t", maxsplit=1)[0]
    return name, name if "://" in name else FileSystems.join(folder, name)


def sides(pair: tuple[str, np.ndarray]):
    """Yields, for each set of planes, on which sides of them an embedding is, with its key and its unit vector."""
    key, embedding = pair
    unit = embedding / np.linalg.norm(embedding)
    planes = np.random.default_rng(0).standard_normal((NUM_SETS, NUM_PLANES, len(unit)), np.float32)
    for number, side in enumerate(planes @ unit > 0):
        yield (number, np.packbits(side).tobytes()), (key, unit)


def similar(group, threshold: float):
    """Yields the pairs of a group whose cosine is at least `threshold`."""
    for (key, unit), (other, other_unit) in itertools.combinations(sorted(group[1], key=lambda pair: pair[0]), 2):
        if (cosine := float(unit @ other_unit)) >= threshold:
            yield f"{cosine:.4f}\t{key}\t{other}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", required=True)
    parser.add_argument("--tower", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--output", required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threshold", type=float, default=0.95)
    given, beam_flags = parser.parse_known_args()
    tower = lit.ImageTowerOptions(name=given.tower, weights=given.weights)
    folder, _ = FileSystems.split(given.table)
    with beam.Pipeline(options=PipelineOptions(beam_flags)) as pipeline:
        lines = pipeline | beam.io.ReadFromText(given.table, skip_header_lines=1) | beam.Reshuffle()
        embedded = lines | beam.Map(image_of, folder) | lit.EmbedImages(tower, batch_size=given.batch_size)
        rows = embedded.embeddings | "Row" >> beam.MapTuple(lambda key, vector: {"key": key, "embedding": vector})
        rows | beam.io.WriteToParquet(f"{given.output}/embeddings", SCHEMA, file_name_suffix=".parquet")
        groups = embedded.embeddings | beam.FlatMap(sides) | beam.GroupByKey()
        pairs = groups | beam.FlatMap(similar, given.threshold) | beam.Distinct()
        pairs | "Pairs" >> beam.io.WriteToText(f"{given.output}/pairs", file_name_suffix=".tsv")
        failures = embedded.failures | beam.Map(lambda failure: f"{failure.key}\t{failure.reason}")
        failures | "Failures" >> beam.io.WriteToText(f"{given.output}/failures", file_name_suffix=".tsv")


if __name__ == "__main__":
    main()
