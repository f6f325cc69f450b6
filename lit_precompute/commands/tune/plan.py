"""`lit-tune plan`: what a training takes, before it starts."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import rich.console
import tyro

from lit_precompute.commands.console import card, duration, make_console, print_json
from lit_precompute.commands.tune.flags import read_defaults
from lit_precompute.commands.tune.kinds import widened
from lit_precompute.schemas import EmbeddingDataset, VectorType
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.towers.options import OptionsError
from lit_precompute.tune.config.checks import check_recipe
from lit_precompute.tune.config.execution import Execution
from lit_precompute.tune.config.recipe import Recipe, Setting
from lit_precompute.tune.config.starts import check_setting
from lit_precompute.tune.recipes import NamedRecipe, PaperRecipe
from lit_precompute.tune.recipes.values import image_width, num_rows
from lit_precompute.tune.training.datasets import trained_on

if TYPE_CHECKING:
    from lit_precompute.tune.training.parts import Timed
    from lit_precompute.tune.training.planning import Plan

_DESCRIPTION = """Says what a training takes before it starts: parameters, memory, steps, and hours on this device.

  lit-tune plan --recipe tab5-yfcc-Lu-vit-b32-vit-base-wp
  lit-tune plan --dataset emoji --recipe demo --batch-size 1024 --micro-batch-size 256

Takes the flags of lit-tune; nothing is written. Without --dataset it needs no data: a recipe of the paper's Table 10
says how wide its image tower's embeddings are and how many images its dataset has; for others give --width and
--rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanArguments:
    """The parsed command line.

    Attributes:
      recipe: the named recipe with its overrides.
      execution: how to compute it here.
      width: length of an embedding.
      vector_type: its type.
      num_rows: pairs to train on, without those that are held out; None: not known.
      timed: whether to time the parts of a step.
      json: whether to print JSON for programs.
    """

    recipe: Recipe
    execution: Execution
    width: int
    vector_type: VectorType
    num_rows: int | None
    timed: bool
    json: bool


def parse_plan(arguments: list[str]) -> PlanArguments:
    """Returns the parsed arguments of `lit-tune plan`.

    Raises:
      OptionsError: the recipe or a kind is unknown, a value breaks a rule, or the width is not known.
      OSError: the recipe's file or the dataset cannot be read.
    """
    named, fields_of_kinds, arguments = read_defaults(arguments)

    def make(
        dataset: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
        output: str | None = None,
        recipe: str = named.name,
        selection: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
        setting: Setting | None = None,
        width: int | None = None,
        rows: int | None = None,
        timed: bool = True,
        json: bool = False,
        fields: Annotated[Any, tyro.conf.arg(name="")] = fields_of_kinds,
        execution: Annotated[Execution, tyro.conf.arg(name="")] = named.execution,
    ) -> PlanArguments:
        """Returns what was parsed; its signature is the command line.

        Args:
          dataset: Directory of the embedding dataset, for the width, type and number of its rows; may be repeated.
          output: Not written; taken so that a command line of lit-tune can be planned as it is.
          recipe: Name or file (.toml, .json) of the recipe that the defaults below come from.
          selection: File of `lit-data select`: only its rows of the dataset count; may be repeated.
          setting: How the text tower starts: Lu at random, LU from --text-tower.weights, LL locked but for its head.
          width: Length of an embedding, by default the dataset's, or that of the image tower of the paper's row.
          rows: Pairs of the dataset, by default as it or the paper says; those of --data.held-out are among them.
          timed: Time the parts of a step here.
          json: Print JSON for programs.
          fields: What is trained.
          execution: How it is computed here.
        """
        del output, recipe
        chosen = widened(fields)
        check_setting(chosen, setting)
        check_recipe(chosen)
        execution.check_fits(chosen)
        width, vector_type, rows = _about(dataset, selection, chosen.data.table, named, width, rows)
        return PlanArguments(
            recipe=chosen,
            execution=execution,
            width=width,
            vector_type=vector_type,
            num_rows=None if rows is None else max(0, rows - chosen.data.held_out),
            timed=timed,
            json=json,
        )

    make.__annotations__["fields"] = Annotated[type(fields_of_kinds), tyro.conf.arg(name="")]
    make.__annotations__["execution"] = Annotated[Execution, tyro.conf.arg(name="")]
    return tyro.cli(make, prog="lit-tune plan", description=_DESCRIPTION, args=arguments)


def _about(
    paths: Sequence[str],
    selections: Sequence[str],
    table: str,
    named: NamedRecipe,
    width: int | None,
    rows: int | None,
) -> tuple[int, VectorType, int | None]:
    """Returns width, type and number of the rows: as given, as of the datasets, or as of the paper's row."""
    for flag, value in (("--width", width), ("--rows", rows)):
        if value is not None and value < 1:
            raise OptionsError(f"{flag} must be >= 1, got {value}")
    vector_type: VectorType = "float16"
    with contextlib.ExitStack() as opened:
        datasets = [opened.enter_context(EmbeddingDataset.open(path, tables=[], embeddings=table)) for path in paths]
        for dataset in datasets:
            width, vector_type = width or dataset.width, dataset.vector_type
        on = trained_on(datasets, [Selection.open(path) for path in selections], selections) if datasets else []
        counts = [each.dataset.num_rows if each.selection is None else each.selection.num_selected for each in on]
    if paths:
        rows = rows or sum(counts)
    elif isinstance(named, PaperRecipe):
        width, rows = width or image_width(named.row), rows or num_rows(named.row)
    if width is None:
        raise OptionsError("--width must be given, the length of an embedding, or --dataset, which says it")
    return width, vector_type, rows


def plan(arguments: PlanArguments) -> None:
    """Prints the plan.

    Raises:
      ValueError: the recipe counts epochs and the number of rows is not known, or it trains nothing.
    """
    # Imported late: JAX takes a second, and --help does not need it.
    from lit_precompute.tune.training.planning import make_plan, reason_not_to_time
    from lit_precompute.tune.training.shapes import make_shapes

    progress = make_console(stderr=True)
    progress.print("compiling the parts of a step")
    shapes = make_shapes(arguments.recipe, width=arguments.width, vector_type=arguments.vector_type)
    made, parts = make_plan(arguments.recipe, arguments.execution, shapes, num_rows=arguments.num_rows)
    times: list[Timed] = []
    if arguments.timed and (reason := reason_not_to_time(made.memory)):
        progress.print(f"not timed: {reason}")
    elif arguments.timed:
        progress.print("timing the parts of a step")
        times = list(parts.time())
    if arguments.json:
        content = dataclasses.asdict(made)
        content["memory"]["total"] = made.memory.total
        print_json({**content, "timed": [each._asdict() for each in times]})
        return
    _show(make_console(), made, times)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:,.2f} MB"


def _show(console: rich.console.Console, made: Plan, times: Sequence[Timed]) -> None:
    work, memory = made.work, made.memory
    trained = {name: number for name, number in work.num_parameters.items() if number}
    console.print(card((f"parameters: {name}", f"{number:,}") for name, number in trained.items()))
    sizes = {**dataclasses.asdict(memory), "total, at most": memory.total}
    console.print(card((f"memory: {name}", _size(size)) for name, size in sizes.items()))
    epochs = "" if work.num_epochs is None else f", {work.num_epochs:,.3g} epochs"
    rows = {
        "training": f"{work.num_steps:,} steps of {work.batch_size:,} pairs: {work.num_examples:,} examples{epochs}",
        "step": f"{work.texts_per_step:,} texts in {work.num_micro_batches:,} micro-batches",
    }
    console.print(card(rows.items()))
    if times:
        console.print(card((f"time: {part}", f"{seconds:,.3g} s a step ({how})") for part, seconds, how in times))
        seconds = sum(each.seconds for each in times)
        hours = duration(seconds * work.num_steps)
        console.print(f"projected from these: {seconds:,.3g} s a step, {hours} in all on {made.device}")
