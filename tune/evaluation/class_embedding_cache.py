"""Class embeddings kept on this machine: a file for each model, classes and templates.

Promises: what is read is, bit for bit, what would be computed: the file's name is a hash of everything that the numbers
depend on (weights, the text tower's program, tokens, libraries, device, machine). A damaged file counts as none, a file
appears whole, and a folder that cannot be written costs a warning. The folder holds at most `LIMIT_BYTES`; what was
used longest ago goes first.

The folder is ~/.cache/lit-precompute/class-embeddings, or class-embeddings in $LIT_PRECOMPUTE_CACHE.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import pathlib
import platform
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float32

from lit_precompute.schemas.storage import write_bytes_atomically
from lit_precompute.towers.weights.cache import class_embeddings_folder
from lit_precompute.tune.evaluation.prompts import class_name, make_prompts
from lit_precompute.tune.model.tuned_model import TunedModel

LIMIT_BYTES = 2 << 30
_VERSION = 1  # increased when class_embeddings.compute or prompts change their results
_DIGEST_BYTES = hashlib.sha256().digest_size
_LIBRARIES = ("lit-precompute", "jax", "jaxlib", "numpy")
_logger = logging.getLogger(__name__)


def make_key(model: TunedModel, classes: Sequence[str], templates: tuple[str, ...]) -> str | None:
    """Returns a hash of all that class embeddings depend on; None for a model that was not loaded from a directory."""
    if model.digest is None:
        return None
    # The tokens of each name and of each template show a change in the code of a tokenizer.
    samples = [*(make_prompts(name, templates[:1])[0] for name in classes), *make_prompts(classes[0], templates)]
    tokens = model.tokens(samples)
    device = jax.devices()[0]
    parts = [
        _VERSION,
        model.digest,
        model.text_program(),
        [class_name(name) for name in classes],
        templates,
        hashlib.sha256(tokens.tobytes()).hexdigest(),
        {name: importlib.metadata.version(name) for name in _LIBRARIES},
        [device.platform, device.device_kind, platform.node(), os.cpu_count(), os.environ.get("XLA_FLAGS")],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def read(key: str, shape: tuple[int, int]) -> Float32[np.ndarray, "{shape[0]} {shape[1]}"] | None:
    """Returns what was written under a key; None if nothing was, or it is damaged or cannot be read."""
    try:
        path = _path(key)
        content = path.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return None
    digest, numbers = content[:_DIGEST_BYTES], memoryview(content)[_DIGEST_BYTES:]
    if hashlib.sha256(numbers).digest() != digest or len(numbers) != 4 * shape[0] * shape[1]:
        return None
    try:
        os.utime(path)
    except OSError as error:
        _logger.debug("%s: the time of use could not be set (%s)", path, error)
    return np.frombuffer(numbers, "<f4").reshape(shape).astype(np.float32)


def write(key: str, vectors: Float32[np.ndarray, "classes d"]) -> None:
    """Keeps class embeddings under a key, and removes the oldest files of a folder that has grown too large."""
    try:
        path = _path(key)
        numbers = vectors.astype("<f4").tobytes()
        write_bytes_atomically(path, hashlib.sha256(numbers).digest() + numbers)
        _remove_oldest(path.parent)
    except (OSError, RuntimeError) as error:
        _logger.warning("the class embeddings are not kept for the next evaluation: %s", error)


def _path(key: str) -> pathlib.Path:
    return class_embeddings_folder() / f"{key}.float32"


def _remove_oldest(folder: pathlib.Path) -> None:
    files = [(file, file.stat()) for file in folder.iterdir()]
    excess = sum(info.st_size for _, info in files) - LIMIT_BYTES
    for file, info in sorted(files, key=lambda entry: entry[1].st_mtime):
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= info.st_size
