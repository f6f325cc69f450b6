"""Images per second of clip-retrieval's loader, run by `benchmarks/decode_job.py` in the environment .venv-bench.

Takes a folder of tars, a batch size and a number of worker processes. The reader is clip-retrieval's own file, loaded
without its package, which imports all of its commands; the preprocessing is the one that CLIP's own package gives it.
"""

import functools
import importlib.metadata
import importlib.util
import pathlib
import sys
import time

import torch
from torchvision import transforms

SIDE = 224
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def load_reader():
    """Returns the module of clip-retrieval's readers."""
    files = importlib.metadata.distribution("clip-retrieval").files
    (file,) = (file for file in files if str(file) == "clip_retrieval/clip_inference/reader.py")
    specification = importlib.util.spec_from_file_location("clip_retrieval_reader", file.locate())
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def preprocessing():
    """Returns what turns Pillow's image into CLIP's input."""
    return transforms.Compose(
        [
            transforms.Resize(SIDE, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(SIDE),
            lambda image: image.convert("RGB"),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, DEVIATION),
        ]
    )


def tokenize(texts):
    """Returns tokens of fixed length, which cost nothing."""
    return torch.zeros((len(texts), 77), dtype=torch.int32)


def main():
    """Prints the images from the first batch to the last, and the seconds."""
    folder, batch_size, num_workers = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    reader = load_reader().WebdatasetReader(
        sampler=lambda tars: tars,
        preprocess=preprocessing(),
        tokenizer=functools.partial(tokenize),
        input_dataset=[str(path) for path in sorted(folder.glob("*.tar"))],
        batch_size=batch_size,
        num_prepro_workers=num_workers,
        enable_metadata=False,
    )
    marks = [(time.perf_counter(), len(batch["image_tensor"])) for batch in reader]
    sys.stdout.write(f"{sum(count for _, count in marks[1:])} {marks[-1][0] - marks[0][0]}\n")


if __name__ == "__main__":
    main()
