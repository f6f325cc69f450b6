"""The text towers in torch, run by `benchmarks/text_steps.py` in an environment with torch and transformers.

Takes a family, a batch size and a length. For each line on standard input, "default" or "fused", it makes one step with
that form of Adam and prints the seconds by the clock and those of all its threads. On a GPU products are bfloat16.
"""

import itertools
import sys
import time

import torch
import transformers
from torch import nn

NUM_THREADS = 2
WIDTH = 768


class Bert(nn.Module):
    """BERT-base, [CLS] and a linear layer."""

    def __init__(self):
        """Builds the model without dropout, which ours does not have either."""
        super().__init__()
        config = transformers.BertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0)
        self.bert = transformers.BertModel(config, add_pooling_layer=False)
        self.head = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens):
        """Returns [n, width]."""
        hidden = self.bert(input_ids=tokens, attention_mask=(tokens != 0).long()).last_hidden_state
        return self.head(hidden[:, 0])


class TextViT(nn.Module):
    """The paper's text tower, which SigLIP's is."""

    def __init__(self, length: int):
        """Builds the base size."""
        super().__init__()
        config = transformers.SiglipTextConfig(
            vocab_size=32_000, max_position_embeddings=length, projection_size=WIDTH, bos_token_id=None, eos_token_id=1
        )
        self.text = transformers.SiglipTextModel(config)

    def forward(self, tokens):
        """Returns [n, width]."""
        return self.text(input_ids=tokens).pooler_output


def main() -> None:
    """Prints the device's name, then for each line of input the seconds of one step."""
    family, batch_size, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(NUM_THREADS)
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    torch.manual_seed(0)
    model = (Bert() if family == "bert" else TextViT(length)).train().to(device)
    tokens = torch.randint(1_000, 30_000, (batch_size, length))
    tokens[::2, length - length // 3 :] = 0 if family == "bert" else 1
    tokens, weights = tokens.to(device), torch.randn(batch_size, WIDTH, device=device)
    optimizers = {
        name: torch.optim.Adam(model.parameters(), lr=1e-5, **({"fused": True} if name == "fused" else {}))
        for name in ("default", "fused")
    }
    print(torch.cuda.get_device_name() if on_gpu else "cpu", flush=True)
    for line in itertools.takewhile(bool, iter(sys.stdin.readline, "")):
        started, started_cpu = time.perf_counter(), time.process_time()
        optimizer = optimizers[line.strip()]
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=on_gpu):
            loss = (model(tokens).float() * weights).sum()
        loss.backward()
        optimizer.step()
        if on_gpu:
            torch.cuda.synchronize()
        print(time.perf_counter() - started, time.process_time() - started_cpu, flush=True)


if __name__ == "__main__":
    main()
