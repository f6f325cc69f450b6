"""lit-eval: measures what a tuned model can do on an embedding dataset, and shows it."""

import dataclasses
import json
import sys
from typing import Annotated, Any

import rich.console
import rich.table
import tyro

from lit_precompute.commands.tune_console import fail
from lit_precompute.commands.words import counted
from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.tune.evaluation.statistics import Share


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShot:
    """Classifies pictures by the names of their classes, which the model was never trained to tell apart.

    Example:
      lit-eval zero-shot --model runs/first/model --dataset imagenet-val --classes names.txt --templates clip_paper
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with labels."""
    classes: str | None = None
    """File of class names, one a line or a JSON list; by default the dataset's labels."""
    templates: str = "plain"
    """plain, clip_best, clip_paper, or a file of templates with {} for the name."""
    per_class: bool = False
    """Show every class."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the figures."""
        from lit_precompute.tune.evaluation.prompts import read_classes, read_templates
        from lit_precompute.tune.evaluation.zero_shot import classify, distinct_labels
        from lit_precompute.tune.model.tuned_model import TunedModel

        templates = read_templates(self.templates)
        with EmbeddingDataset.open(self.dataset) as dataset:
            classes = read_classes(self.classes) if self.classes else distinct_labels(dataset)
            result = classify(TunedModel.load(self.model), dataset, classes, templates)
        if self.json:
            _print_json(result.to_json())
            return
        title = (
            f"zero-shot over {result.num_classes:,} classes, {counted(len(templates), 'prompt')} each, {self.dataset}"
        )
        shares = {"top-1": result.top1, "top-5": result.top5}
        console.print(_table(title, f"{result.top1.count:,} pictures", {"accuracy": shares}))
        console.print(f"the most frequent class alone: {result.majority:.1%}")
        _say_differences(console, result.preprocessing_differences)
        if result.num_unlabelled:
            console.print(f"{result.num_unlabelled:,} pictures without a label are left out")
        if result.same_names:
            console.print(f"classes whose name another has, never predicted: {', '.join(result.same_names[:5])}")
        if self.per_class:
            for name, (right, count) in result.per_class.items():
                console.print(f"{right:5,} of {count:5,}  {name}", markup=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval:
    """Finds the texts of pictures and the pictures of texts: recall at 1, 5 and 10, both ways.

    Example:
      lit-eval retrieval --model runs/first/model --dataset coco-test
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with texts."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the figures."""
        from lit_precompute.tune.evaluation.retrieval import evaluate
        from lit_precompute.tune.model.tuned_model import TunedModel

        with EmbeddingDataset.open(self.dataset) as dataset:
            result = evaluate(TunedModel.load(self.model), dataset)
        if self.json:
            _print_json(result.to_json())
            return
        ways = {"image -> text": result.image_to_text, "text -> image": result.text_to_image}
        shares = {way: {f"R@{k}": share for k, share in by_k.items()} for way, by_k in ways.items()}
        counts = f"{result.num_images:,} pictures, {result.num_texts:,} texts"
        console.print(_table(f"retrieval, {self.dataset}", counts, shares))
        _say_differences(console, result.preprocessing_differences)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show:
    """Writes a page of pictures with their best texts, and of texts with their best pictures.

    Example:
      lit-eval show --model runs/first/model --dataset coco-test --output coco.html
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with texts."""
    output: str
    """The page: a path that ends in .html or .png."""
    num_rows: int = 12
    """Pictures, and texts, to show."""
    num_best: int = 5
    """Answers to each."""
    seed: int = 0
    """Which rows are drawn."""
    pictures: str | None = None
    """Folder of the pictures, by key; by default they are read from the dataset's source."""

    def run(self, console: rich.console.Console) -> None:
        """Writes the page and prints its path."""
        from lit_precompute.tune.evaluation.show.page import write_page
        from lit_precompute.tune.model.tuned_model import TunedModel

        model = TunedModel.load(self.model)
        with EmbeddingDataset.open(self.dataset) as dataset:
            page = write_page(
                model,
                dataset,
                self.output,
                num_rows=self.num_rows,
                num_best=self.num_best,
                seed=self.seed,
                pictures=self.pictures,
            )
            differences = model.preprocessing_differences(dataset)
        console.print(f"{page}", markup=False)
        _say_differences(console, differences)


def _table(title: str, counts: str, shares: dict[str, dict[str, Share]]) -> rich.table.Table:
    """Returns a table of shares: one line each, with its interval and chance."""
    table = rich.table.Table(title=f"{title} ({counts})", title_justify="left")
    for name in ("", "", "result", "95 % interval", "chance"):
        table.add_column(name, justify="right" if name else "left")
    for group, by_name in shares.items():
        for place, (name, share) in enumerate(by_name.items()):
            low, high = share.interval
            interval = f"{low:.1%} to {high:.1%}"
            table.add_row("" if place else group, name, f"{share.value:.1%}", interval, f"{share.chance:.1%}")
    return table


def _say_differences(console: rich.console.Console, differences: dict[str, dict[str, Any]]) -> None:
    """Prints a line where the dataset's images were preprocessed differently from those the model was tuned on."""
    if differences:
        words = [
            f"{name} is {values['dataset']!r}, the model's is {values['model']!r}"
            for name, values in differences.items()
        ]
        console.print(f"the dataset's preprocessing differs from the model's: {'; '.join(words)}", markup=False)


def _print_json(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Entry point of `lit-eval`; exits with 0 or 2 (wrong input)."""
    commands = (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[Show, tyro.conf.subcommand("show")]
    )
    command = tyro.cli(commands, prog="lit-eval", description=__doc__, config=(tyro.conf.OmitSubcommandPrefixes,))
    try:
        command.run(rich.console.Console(soft_wrap=True, highlight=False))
    except (DatasetError, ValueError) as error:
        fail(error)


if __name__ == "__main__":
    main()
