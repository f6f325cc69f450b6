"""BERT and its relatives: post-norm encoders with learned positions."""
