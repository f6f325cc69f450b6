"""Tuning: recipes, data, losses, optimizers, training, the tuned model and its evaluation; no TensorFlow or Beam."""
