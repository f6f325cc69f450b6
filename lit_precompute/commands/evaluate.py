"""lit-eval: evaluates a tuned model on an embedding dataset, in figures and on pages."""

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import rich.console
import rich.table
import tyro

from lit_precompute.commands.arguments import expand_homes, refuse_repeated
from lit_precompute.commands.console import (
    DEBUG_HELP,
    duration,
    errors_as_messages,
    import_modules,
    make_console,
    print_json,
    take_debug_flag,
)
from lit_precompute.commands.pipes import quiet_when_pipe_closes
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import interruptible
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selected_rows import open_selection
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted, one_line
from lit_precompute.tune.evaluation.statistics import Share, percent
from lit_precompute.tuning import retrieval, zero_shot


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Command:
    """Flags of every subcommand."""

    module: tuple[str, ...] = ()
    """Modules to import first, for example one that registers the model's text tower."""
    text_tower: str | None = None
    """Of a model over stored text embeddings: name or folder of the frozen text tower that embeds texts, or
    NAME@WEIGHTS; by default the one that the model names, if it is one of `lit-tune towers`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShot(_Command):
    """Classifies images by the names of classes that the model was not trained on.

    For example:

      lit-eval zero-shot --model runs/first/model --dataset imagenet-val --classes names.txt --templates clip_paper
    """

    model: str
    """The folder `model` that lit-tune wrote."""
    dataset: str
    """Directory of an embedding dataset with labels."""
    selection: str | None = None
    """File of `lit-data select` that names the rows to use; all by default."""
    classes: str | None = None
    """File of class names, one per line or a JSON list; by default the dataset's labels, unless they are numbers."""
    templates: str = "plain"
    """Prompts: plain, clip_best, clip_paper, or a file of templates with {} for the class name."""
    per_class: bool = False
    """Also print the accuracy of each class."""
    keep_class_embeddings: bool = True
    """Keep class embeddings in this machine's cache, and take them from there; docs/evaluate.md says where it is."""
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the figures."""
        from lit_precompute.tune.evaluation.prompts import read_classes, read_templates

        templates = read_templates(self.templates)
        with EmbeddingDataset.open(self.dataset) as dataset:
            from lit_precompute.tune.model.tuned_model import TunedModel

            classes = read_classes(self.classes) if self.classes else None
            # Standard output has the figures alone.
            with ProgressDisplay(make_console(stderr=True)) as display:
                result = zero_shot(
                    TunedModel.load(self.model, text_tower=self.text_tower),
                    dataset,
                    classes,
                    templates=templates,
                    selection=_open_selection(self.selection, dataset),
                    keep_class_embeddings=self.keep_class_embeddings,
                    report=_class_progress(display, len(templates)),
                )
        if self.json:
            print_json(result.to_json())
            return
        num_classes = counted(result.num_classes, "class", "classes")
        title = f"zero-shot over {num_classes}, {counted(len(templates), 'prompt')} each, {self.dataset}"
        shares = {"top-1": result.top1, "top-5": result.top5}
        console.print(_table(title, counted(result.top1.count, "image"), {"accuracy": shares}))
        _say_caution(console, dataset)
        console.print(f"the most frequent class alone: {percent(result.majority)}")
        _say_differences(console, result.preprocessing_differences)
        if result.num_unlabelled:
            console.print(f"{counted(result.num_unlabelled, 'image')} without a label (empty or -1), not counted")
        if result.same_names:
            num_more = len(result.same_names) - 5
            more = f" and {num_more:,} more" if num_more > 0 else ""
            names = ", ".join(map(one_line, result.same_names[:5]))
            console.print(f"never predicted, because an earlier class has the same name: {names}{more}")
        if self.per_class:
            for name, (right, count) in result.per_class.items():
                console.print(f"{right:5,} of {count:5,}  {one_line(name)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retrieval(_Command):
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
    json: bool = False
    """Print JSON for programs."""

    def run(self, console: rich.console.Console) -> None:
        """Prints the figures."""
        with EmbeddingDataset.open(self.dataset) as dataset:
            from lit_precompute.tune.model.tuned_model import TunedModel

            selection = _open_selection(self.selection, dataset)
            result = retrieval(TunedModel.load(self.model, text_tower=self.text_tower), dataset, selection=selection)
        if self.json:
            print_json(result.to_json())
            return
        ways = {"image -> text": result.image_to_text, "text -> image": result.text_to_image}
        shares = {way: {f"R@{k}": share for k, share in by_k.items()} for way, by_k in ways.items()}
        counts = f"{counted(result.num_images, 'image')}, {counted(result.num_texts, 'text')}"
        console.print(_table(f"retrieval, {self.dataset}", counts, shares))
        _say_caution(console, dataset)
        if result.num_blank_texts:
            console.print(f"{counted(result.num_blank_texts, 'blank text')} left out")
        _say_differences(console, result.preprocessing_differences)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show(_Command):
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
        with EmbeddingDataset.open(self.dataset) as dataset:
            page = write_page(
                model,
                dataset,
                self.output,
                selection=_open_selection(self.selection, dataset),
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
        _say_differences(console, differences)


def _open_selection(path: str | None, dataset: EmbeddingDataset) -> Selection | None:
    return None if path is None else open_selection(path, dataset)


def _table(title: str, counts: str, shares: dict[str, dict[str, Share]]) -> rich.table.Table:
    """Returns a table of shares, one per line, each with its confidence interval and chance level."""
    table = rich.table.Table(title=f"{title} ({counts})", title_justify="left")
    for name in ("", "", "result", "95 % interval", "chance"):
        table.add_column(name, justify="right" if name else "left")
    for group, by_name in shares.items():
        for place, (name, share) in enumerate(by_name.items()):
            interval = " to ".join(map(percent, share.interval))
            table.add_row("" if place else group, name, percent(share.value), interval, percent(share.chance))
    return table


def _class_progress(display: ProgressDisplay, num_templates: int) -> Callable[[int, int], None]:
    """Returns a function that shows how many class embeddings are done, the rate and the time left."""
    started_s = time.monotonic()

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started_s, 1e-9)
        words = f"{done:,}/{total:,} class embeddings  {rate * num_templates:,.0f} prompts/s"
        left = f"  {duration((total - done) / rate)} left" if 0 < done < total else ""
        display.show(words + left, done, total)

    return report


def _say_caution(console: rich.console.Console, dataset: EmbeddingDataset) -> None:
    """Says what is not known of a dataset's tower."""
    if caution := dataset.manifest.tower.caution:
        console.print(caution)


def _say_differences(console: rich.console.Console, differences: dict[str, dict[str, Any]]) -> None:
    """Says which preprocessing differs between the dataset and the one that the model was tuned on."""
    if differences:
        words = [
            f"{name} is {values['dataset']!r}, the model's is {values['model']!r}"
            for name, values in differences.items()
        ]
        console.print(f"the dataset's preprocessing differs from the model's: {'; '.join(words)}")


@quiet_when_pipe_closes()
def main() -> None:
    """Entry point of `lit-eval`; exits with 0, 1 (a full disk), 2 (wrong input) or 130 (interrupted)."""
    take_debug_flag(sys.argv)
    expand_homes(sys.argv)
    commands = (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[Show, tyro.conf.subcommand("show")]
    )
    with errors_as_messages():
        refuse_repeated(sys.argv)
    command = tyro.cli(
        commands, prog="lit-eval", description=f"{__doc__}\n\n{DEBUG_HELP}", config=(tyro.conf.OmitSubcommandPrefixes,)
    )
    with interruptible("run the same command again"), errors_as_messages():
        import_modules(command.module)
        command.run(make_console())
