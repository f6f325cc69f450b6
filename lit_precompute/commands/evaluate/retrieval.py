"""`lit-eval retrieval`: finds the texts of each image and the image of each text."""

import dataclasses

import rich.console

from lit_precompute.commands.console import print_json
from lit_precompute.commands.evaluate.common import (
    Command,
    print_shares,
    say_caution,
    say_differences,
    selection_of,
)
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.wording import counted
from lit_precompute.tuning import retrieval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval(Command):
    """Finds the texts of each image and the image of each text: recall at 1, 5 and 10 in both directions.

    For example:

      lit-eval retrieval --model runs/first/model --dataset coco-test
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with texts."""
    selection: str | None = None
    """File of `lit-data select` that names the rows to use; all by default."""
    field: str | None = None
    """The dataset's column of texts; by default the only field that the model was tuned on, if the dataset has it, and
    otherwise `texts`."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the figures."""
        with EmbeddingDataset.open(self.dataset, embeddings=self.table) as dataset:
            from lit_precompute.tune.model.tuned_model import TunedModel

            selection = selection_of(self.selection, dataset)
            model = TunedModel.load(self.model, text_tower=self.text_tower)
            result = retrieval(model, dataset, selection=selection, field=self.field)
        if self.json:
            print_json(result.to_json())
            return
        ways = {"image -> text": result.image_to_text, "text -> image": result.text_to_image}
        shares = {way: {f"R@{k}": share for k, share in by_k.items()} for way, by_k in ways.items()}
        counts = f"{counted(result.num_images, 'image')}, {counted(result.num_texts, 'text')}"
        counts += f" of {result.field}" if result.field != "texts" else ""
        print_shares(console, f"retrieval, {self.dataset}", counts, shares)
        say_caution(console, dataset)
        if result.num_blank_texts:
            console.print(f"{counted(result.num_blank_texts, 'blank text')} left out")
        say_differences(console, result.preprocessing_differences)
