"""Images that benchmarks decode: waves, edges and noise, which compress about as well as photographs do."""

import io

import numpy as np
from PIL import Image


def photograph(number: int, width: int = 500, height: int = 375) -> np.ndarray:
    """Returns uint8 [height, width, 3], the same for the same number."""
    draw = np.random.default_rng(number)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [100 * np.sin(columns / draw.uniform(9, 60) + rows / draw.uniform(9, 60)) for _ in range(3)]
    edges = 40 * ((rows // draw.integers(20, 90) + columns // draw.integers(20, 90)) % 2)
    noise = draw.normal(0, 6, (height, width, 3))
    return (127 + np.stack(waves, axis=-1) + edges[..., None] + noise).clip(0, 255).astype(np.uint8)


def jpeg(number: int, width: int = 500, height: int = 375) -> bytes:
    """Returns a photograph as a JPEG: one in eight is progressive, one in eight has colours of full resolution."""
    buffer = io.BytesIO()
    subsampling = "4:4:4" if number % 8 == 1 else "4:2:0"
    image = Image.fromarray(photograph(number, width, height))
    image.save(buffer, "JPEG", quality=85, progressive=number % 8 == 0, subsampling=subsampling)
    return buffer.getvalue()
