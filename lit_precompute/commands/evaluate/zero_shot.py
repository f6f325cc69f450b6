"""`lit-eval zero-shot`: classifies images by the names of classes."""

import dataclasses
import time
from collections.abc import Callable

import rich.console

from lit_precompute.commands.console import duration, make_console, print_json
from lit_precompute.commands.evaluate.common import (
    Command,
    print_shares,
    say_caution,
    say_differences,
    selection_of,
)
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.wording import counted, one_line
from lit_precompute.tune.evaluation.statistics import percent
from lit_precompute.tuning import zero_shot


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeroShot(Command):
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
        with EmbeddingDataset.open(self.dataset, embeddings=self.table) as dataset:
            from lit_precompute.tune.model.tuned_model import TunedModel

            classes = read_classes(self.classes) if self.classes else None
            # Standard output has the figures alone.
            with ProgressDisplay(make_console(stderr=True)) as display:
                result = zero_shot(
                    TunedModel.load(self.model, text_tower=self.text_tower),
                    dataset,
                    classes,
                    templates=templates,
                    selection=selection_of(self.selection, dataset),
                    keep_class_embeddings=self.keep_class_embeddings,
                    report=_class_progress(display, len(templates)),
                )
        if self.json:
            print_json(result.to_json())
            return
        num_classes = counted(result.num_classes, "class", "classes")
        title = f"zero-shot over {num_classes}, {counted(len(templates), 'prompt')} each, {self.dataset}"
        shares = {"top-1": result.top1, "top-5": result.top5}
        print_shares(console, title, counted(result.top1.count, "image"), {"accuracy": shares})
        say_caution(console, dataset)
        console.print(f"the most frequent class alone: {percent(result.majority)}")
        say_differences(console, result.preprocessing_differences)
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


def _class_progress(display: ProgressDisplay, num_templates: int) -> Callable[[int, int], None]:
    """Returns a function that shows how many class embeddings are done, the rate and the time left."""
    started_s = time.monotonic()

    def report(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started_s, 1e-9)
        words = f"{done:,}/{total:,} class embeddings  {rate * num_templates:,.0f} prompts/s"
        left = f"  {duration((total - done) / rate)} left" if 0 < done < total else ""
        display.show(words + left, done, total)

    return report
