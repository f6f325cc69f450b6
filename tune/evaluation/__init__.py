"""What a tuned model can do, measured: zero-shot classification, retrieval, and pages to look at."""
