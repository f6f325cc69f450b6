"""`lit-tune --sweep`: trains each combination of values, and says which is best."""

import contextlib
import math
import shlex

import rich.console
import rich.table

from lit_precompute.commands.console import card, fail, make_console
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.commands.stopping import INTERRUPTED, StopRequest
from lit_precompute.commands.tune.flags import Arguments
from lit_precompute.commands.tune.train import describe
from lit_precompute.schemas import EmbeddingDataset
from lit_precompute.schemas.sharing.selection import Selection
from lit_precompute.schemas.wording import counted
from lit_precompute.tune.config.sweeping import in_words, make_points, read_axes, short_names
from lit_precompute.tune.evaluation.statistics import percent
from lit_precompute.tune.training.datasets import trained_on
from lit_precompute.tune.training.failures import TrainingError
from lit_precompute.tune.training.progress import TrainingStopped
from lit_precompute.tune.training.run_directory import tables_read
from lit_precompute.tune.training.sweep import Sweep, SweepProgress
from lit_precompute.tune.training.sweep_table import FINAL_LOSS, MEAN_RECALL, Interval, SweepResult, SweptRun

_FAILED = "failed"


def sweep(arguments: Arguments) -> None:
    """Runs a sweep, or continues it; exits with status 1 or 130 where all of it fails or it is stopped."""
    axes = read_axes(arguments.sweep, arguments.recipe)
    recipes = [point.recipe for point in make_points(arguments.recipe, axes)]
    tables = [*dict.fromkeys(table for recipe in recipes for table in tables_read(recipe))]
    with contextlib.ExitStack() as opened:
        datasets = [opened.enter_context(EmbeddingDataset.open(path, tables=tables)) for path in arguments.datasets]
        selections = [Selection.open(path) for path in arguments.selections]
        trained_on(datasets, selections, arguments.selections)  # whose errors name the files
        held_out = arguments.evaluate
        swept = Sweep(
            datasets,
            arguments.recipe,
            axes,
            arguments.output,
            execution=arguments.execution,
            selections=selections,
            evaluate=None if held_out is None else opened.enter_context(EmbeddingDataset.open(held_out)),
            measure=arguments.measure,
        )
        console = make_console()
        fields = ", ".join(f"{counted(len(values), 'value')} of {path}" for path, values in axes.items())
        console.print(f"a sweep of {counted(len(recipes), 'run')}: {fields}")
        _conclude(console, _run(console, swept), arguments.output)


def _run(console: rich.console.Console, swept: Sweep) -> SweepResult:
    try:
        with StopRequest(console, after="this step") as stop, ProgressDisplay(console) as display:
            return swept.run(lambda progress: _show(display, progress), lambda run: console.print(_in_words(run)), stop)
    except TrainingStopped as stopped:
        saved = f"step {stopped.step:,} of this run is saved"
        fail(f"interrupted; {saved}, run the same command again to continue the sweep", INTERRUPTED)
    except TrainingError as error:
        fail(error, status=1)


def _show(display: ProgressDisplay, progress: SweepProgress) -> None:
    training = progress.training
    words = f"{progress.number}/{progress.num_runs} {progress.name}  {describe(training)}"
    display.show(words, progress.number - 1 + training.step / training.num_steps, progress.num_runs)


def _in_words(run: SweptRun) -> str:
    """Returns one line with a run's figures, or why it has none."""
    if run.error is not None:
        return f"{run.name}: failed: {run.error}"
    shown = {name: value for name, value in run.figures.items() if name == FINAL_LOSS or name.endswith(MEAN_RECALL)}
    return f"{run.name}: " + ", ".join(f"{_title(name)} {_value(name, value)}" for name, value in shown.items())


def _conclude(console: rich.console.Console, result: SweepResult, output: str) -> None:
    """Prints the tables, where they are, and which run is best; exits with status 1 if all failed."""
    from lit_precompute.tune.training.sweep_plot import plot_sweep

    plot = plot_sweep(output, result)
    console.print(_table(result))
    if result.over_seeds:
        console.print(_table_over_seeds(result))
    if (best := result.best) is None:
        fail(f"all runs of the sweep failed; {output}/sweep.csv says why", status=1)
    rows = {"table": f"{output}/sweep.csv, {output}/sweep.json", "plot": str(plot)}
    words = f"{_title(result.measure)} {_value(result.measure, best.figures[result.measure])}"
    rows |= {"best run": f"{best.name}, {words}", "model": str(best.model)}
    if result.over_seeds and (values := in_words(result.over_seeds[0].values)):
        rows["best values"] = f"{values}, by the mean over seeds"
    console.print(card(rows.items()))
    console.print(f"next:  lit-eval retrieval --model {shlex.quote(str(best.model))} --dataset HELD-OUT-DATASET")


def _table(result: SweepResult) -> rich.table.Table:
    paths, measures = list(result.runs[0].values), _shown(result)
    names = short_names(paths)
    table = _empty_table([*(names[path] for path in paths), *map(_title, measures)])
    for run in result.runs:
        figures = [_value(name, run.figures[name]) if name in run.figures else "" for name in measures]
        if run.error is not None:
            figures = [_FAILED, *figures[1:]]
        table.add_row(*(str(run.values[path]) for path in paths), *figures)
    return table


def _table_over_seeds(result: SweepResult) -> rich.table.Table:
    paths, measures = list(result.over_seeds[0].values), _shown(result)
    names = short_names(paths)
    table = _empty_table([*(names[path] for path in paths), "seeds", *map(_title, measures)])
    for each in result.over_seeds:
        figures = [_interval(name, each.figures[name]) if name in each.figures else _FAILED for name in measures]
        table.add_row(*(str(each.values[path]) for path in paths), str(each.count), *figures)
    return table


def _shown(result: SweepResult) -> list[str]:
    """Returns the measures that a table has room for; all are in the files."""
    return [name for name in result.measures if not name.endswith("_10") or name == result.measure]


def _empty_table(columns: list[str]) -> rich.table.Table:
    table = rich.table.Table()
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _title(measure: str) -> str:
    """Returns `image to text R@1` for `image_to_text_recall_at_1`."""
    return measure.replace("recall_at_", "R@").replace("_", " ")


def _value(measure: str, value: float) -> str:
    return percent(value) if "recall" in measure else f"{value:.4f}"


def _interval(measure: str, interval: Interval) -> str:
    """Returns `24.1% (22.0% to 26.2%)`, or the mean alone where there is one seed; shares stay in 0 to 100 %."""
    mean, low, high = interval
    if not math.isfinite(low):
        return _value(measure, mean)
    if "recall" in measure:
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{_value(measure, mean)} ({_value(measure, low)} to {_value(measure, high)})"
