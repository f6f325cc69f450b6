"""TFRecord files of tf.Example, with the names of TFDS's `laion400m/embeddings`: image_embedding, caption ...

Source: tensorflow/datasets, vision_language/laion400m/laion400m.py.
"""

from lit_precompute.precompute.exchange.layout import Layout, Reading, Writing
from lit_precompute.precompute.exchange.layouts.tfrecord.source import ImportOptions, TFRecordSource
from lit_precompute.precompute.exchange.layouts.tfrecord.writer import ExportOptions, TFRecordWriter

LAYOUT = Layout(
    name="tfrecord",
    reading=Reading(options=ImportOptions, open=TFRecordSource),
    writing=Writing(options=ExportOptions, open=TFRecordWriter, rows_per_file=100_000),
)
