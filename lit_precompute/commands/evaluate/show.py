"""`lit-eval show`: a page of images with their nearest texts, and of texts with their nearest images."""

import dataclasses
from typing import Annotated

import rich.console
import tyro

from lit_precompute.commands.evaluate.common import Command, say_differences, selection_of
from lit_precompute.schemas import EmbeddingDataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show(Command):
    """Writes a page that shows images with their nearest texts, and texts with their nearest images.

    Images are read from where the dataset's manifest says, be it files of this machine or a server; --images overrides
    that.

    For example:

      lit-eval show --model runs/first/model --dataset coco-test --output coco.html
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with texts."""
    output: str
    """The page to write: a path ending in .html or .png, in upper or lower case."""
    selection: str | None = None
    """File of `lit-data select` that names the rows to use; all by default."""
    num_rows: int = 12
    """Number of images, and of texts, to show."""
    num_best: int = 5
    """Number of answers to show for each."""
    seed: int = 0
    """Seed for choosing the rows."""
    images: Annotated[str | None, tyro.conf.arg(aliases=("--pictures",))] = None
    """Folder of the images, with the rows' keys as paths; by default the source that the dataset's manifest names, also
    if both have moved."""

    def run(self, console: rich.console.Console) -> None:
        """Writes the page and prints its path."""
        from lit_precompute.tune.evaluation.show import write_page
        from lit_precompute.tune.model.tuned_model import TunedModel

        model = TunedModel.load(self.model, text_tower=self.text_tower)
        with EmbeddingDataset.open(self.dataset, embeddings=self.table) as dataset:
            page = write_page(
                model,
                dataset,
                self.output,
                selection=selection_of(self.selection, dataset),
                num_rows=self.num_rows,
                num_best=self.num_best,
                seed=self.seed,
                image_folder=self.images,
            )
            differences = model.preprocessing_differences(dataset)
        console.print(self.output)
        if page.moved_to:
            console.print(f"images are read where {page.moved_to} says")
        if page.num_gone:
            num = len(page.thumbnails)
            some = f"{page.num_gone:,} of {num:,} images cannot be read"
            none = "the image was not found" if num == 1 else f"no image of {num:,} was found"
            words, them = none if page.num_gone == num else some, "it" if num == 1 else "them"
            console.print(f"{words}; looked {page.looked}; --images gives the folder that holds {them}")
        say_differences(console, differences)
