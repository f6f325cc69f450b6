"""The peer's loss, run by `benchmarks/contrastive_loss.py` in an environment with torch and sentence-transformers.

Takes the batch size, the width and the rows of a mini-batch. For each line on standard input it computes the loss and
its gradients once, from embeddings as the peer caches them, and prints the seconds by the clock and of all threads.
"""

import sys
import time

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Dense

NUM_THREADS = 2


def main() -> None:
    """Serves the calls."""
    batch, width, rows = map(int, sys.argv[1:])
    torch.set_num_threads(NUM_THREADS)
    torch.manual_seed(0)
    # The model is only asked what it is: embeddings are given.
    model = SentenceTransformer(modules=[Dense(width, width)], device="cpu")
    loss = CachedMultipleNegativesRankingLoss(
        model,
        scale=10.0,
        mini_batch_size=rows,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )
    embeddings = torch.nn.functional.normalize(torch.randn(2, batch, width), dim=2)
    print("ready", flush=True)
    for _ in sys.stdin:
        cached = [[each.clone().requires_grad_() for each in side.split(rows)] for side in embeddings]
        started, started_cpu = time.perf_counter(), time.process_time()
        loss.calculate_loss(cached, with_backward=True)
        print(time.perf_counter() - started, time.process_time() - started_cpu, flush=True)


if __name__ == "__main__":
    main()
