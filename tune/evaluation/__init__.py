"""Evaluation of tuned models: zero-shot classification, retrieval, and pages to look at."""
