"""Pages of images and texts to look at.

Promises: each page is one self-contained file, HTML or PNG by its ending, with small thumbnails inside.
"""

import os
import pathlib

from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.storage import refuse_url, write_bytes_atomically
from lit_precompute.tune.evaluation.show.html import make_html
from lit_precompute.tune.evaluation.show.page import Page, make_page
from lit_precompute.tune.evaluation.show.png import make_png
from lit_precompute.tune.model.tuned_model import TunedModel


def write_page(
    model: TunedModel,
    dataset: EmbeddingDataset,
    output: str,
    *,
    selection: Selection | None = None,
    num_rows: int = 12,
    num_best: int = 5,
    seed: int = 0,
    image_folder: str | None = None,
) -> Page:
    """Writes the page and returns what it shows.

    Args:
      model: the tuned model.
      dataset: the dataset to draw from.
      output: a path that ends in .html or .png, in upper or lower case.
      selection: the rows to draw from, and to look for answers in; None: all.
      num_rows: how many images, and how many texts, to show.
      num_best: how many answers to show for each.
      seed: chooses the rows.
      image_folder: a folder that contains the images, with keys as paths; None reads the dataset's source.

    Raises:
      ValueError: a URL as output or folder, a different ending, a folder as output, a dataset without texts, a
        selection of another one, fewer than one row or answer, or a negative seed.
      TunedModelError: the dataset comes from a different tower than the model's.
    """
    refuse_url("--output", output)
    if image_folder is not None:
        refuse_url("--images", image_folder)
    path = pathlib.Path(output)
    makers = {".html": make_html, ".png": make_png}
    suffix = path.suffix.lower()
    if suffix not in makers:
        raise ValueError(f"--output must end in {' or '.join(makers)}, got {output!r}")
    if os.path.isdir(path):  # noqa: PTH112 -- pathlib's raises an error if a name is too long
        raise ValueError(f"--output {output}: is a folder; give the path of a file")
    page = make_page(
        model,
        dataset,
        selection=selection,
        num_rows=num_rows,
        num_best=num_best,
        seed=seed,
        image_folder=image_folder,
    )
    write_bytes_atomically(path, makers[suffix](page))
    return page
