"""Text towers, tokenizers, the loss, training, evaluation and the tuned model; never an image, TensorFlow or Beam."""
