"""Files of tf.Example records: TFRecord, ArrayRecord, and the folders that TFDS writes."""
