"""Text towers, tokenizers, the loss, training, evaluation and the tuned model; never a picture, TensorFlow or Beam."""
