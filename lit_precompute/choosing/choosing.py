"""Choosing a tower as a function: what `lit-embed choose` does, from Python.

OUTPUT/embedded/TOWER/     the sample's embeddings, as `lit-embed run` would write them
OUTPUT/texts/TOWER-.../    with --text-tower: the same with the texts' embeddings
OUTPUT/tuned/TOWER-.../    trainings, as `lit-tune --sweep seed=...` would write them
OUTPUT/choose.json, choose.png, rates.json
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lit_precompute.choosing.options import ChooseOptions
from lit_precompute.choosing.result import MEASURE, ChosenTower, TowerChoice
from lit_precompute.schemas.claims import Claim, refuse_unwritable
from lit_precompute.schemas.storage import MANIFEST_NAME, Folder, open_folder
from lit_precompute.schemas.wording import counted

if TYPE_CHECKING:  # they import JAX or Beam
    from lit_precompute.choosing.costs import Pricing
    from lit_precompute.choosing.sample import Embedded
    from lit_precompute.choosing.tuning import Trials
    from lit_precompute.pipelines.embed.reporting.progress import EmbedProgress
    from lit_precompute.tune.evaluation.paired import Estimate
    from lit_precompute.tune.training.sweep import SweepProgress

JSON_NAME, PLOT_NAME = "choose.json", "choose.png"
_ADVICE = "give an empty --output, or that of an earlier choice"
# What another sample differs in, and the flags that give it.
_SAMPLE = {"num_asked": "--rows", "seed": "--seed"}
_FEW_HELD_OUT = 200


class ChooseProgress(NamedTuple):
    """What is reported often: what is being done with tower `number` of `num_towers`.

    Attributes:
      number: of the tower, from 1.
      num_towers: how many there are.
      tower: name of its folder in `embedded`.
      doing: what is done, in a word or two.
      embedding: how far embedding is, during that.
      tuning: how far trainings are, during these.
    """

    number: int
    num_towers: int
    tower: str
    doing: str
    embedding: EmbedProgress | None = None
    tuning: SweepProgress | None = None


def choose_tower(
    options: ChooseOptions,
    *,
    beam_flags: Sequence[str] = (),
    prices: str | None = None,
    rates: str = "",
    report: Callable[[ChooseProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_fetch: Callable[[str, int, int], None] | None = None,
    on_look: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda words: None,
) -> TowerChoice:
    """Embeds a sample with several towers, tunes a small text tower on each, and compares what they find and cost.

    The same call again after an interruption, or with more towers, repeats nothing that is done.

    Args:
      options: which towers, and how they are compared.
      beam_flags: flags of the full job that name its machine (`--machine_type=...`), to be priced; this process embeds
        the sample.
      prices: a price file; None: the one that is shipped.
      rates: images per second of such a machine, one for all towers or one for each, as "900,310"; "": as here.
      report: called often, from this thread.
      should_stop: called as often; True stops after the current batch or step.
      on_fetch: called with (name, bytes so far, total bytes or 0) while weights are downloaded.
      on_look: called with (files so far, all files) while the source is looked into.
      say: called with a line for each choice made on the user's behalf, and for each tower that was embedded before.

    Raises:
      ValueError, OSError: source, towers, options, flags, prices or output cannot be used, or too few rows have texts.
      EmbedError, TrainingError: a row, a batch or a step cannot be computed; what was done is kept.
      EmbedStopped, TrainingStopped: `should_stop` returned True.
    """
    from lit_precompute.choosing.costs import Pricing
    from lit_precompute.choosing.plot import plot_choice
    from lit_precompute.choosing.sample import embed_sample
    from lit_precompute.choosing.tuning import tune_each
    from lit_precompute.towers.loading import configured, find_file

    jobs = options.jobs()
    pricing = Pricing.of(beam_flags, prices, rates, len(jobs))
    for job in jobs:
        configured(job.tower)  # before anything is written
    for job in jobs:
        if not open_folder(job.output).exists(MANIFEST_NAME):  # of all, before the first one is embedded
            find_file(job.tower.name, job.tower.weights, progress=on_fetch)
    folder = _claimed(options)
    samples: list[Embedded] = []
    for number, job in enumerate(jobs, start=1):
        place = ChooseProgress(number, len(jobs), job.output.rpartition("/")[2], "embedding")
        sample = embed_sample(
            job,
            folder,
            report=lambda progress, place=place: report(place._replace(embedding=progress)),
            should_stop=should_stop,
            on_fetch=on_fetch,
            on_look=on_look,
            say=lambda words, place=place: say(f"{place.tower}: {words}"),
        )
        samples.append(sample)
        if sample.was_there:
            say(f"{sample.name}: {counted(sample.manifest.num_rows, 'row')} were embedded before, none is now")

    def tell(place: int, doing: str, tuning: SweepProgress | None) -> None:
        report(ChooseProgress(place + 1, len(samples), samples[place].name, doing, tuning=tuning))

    trials = tune_each(options, samples, report=tell, should_stop=should_stop)
    choice = _concluded(options, samples, trials, pricing)
    folder.write(JSON_NAME, (json.dumps(choice.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
    plot_choice(folder.join(PLOT_NAME), choice)
    return choice


def _claimed(options: ChooseOptions) -> Folder:
    """Claims the output; one that contains something else, or another sample, is refused."""
    claim = Claim(
        folder=open_folder(options.output),
        note=JSON_NAME,
        kind="choice of a tower",
        own_prefix=".",
        advice_foreign=_ADVICE,
        advice_another="Give these values again to resume it, or choose another --output",
        advice_damaged="remove it: it is made again",
        flags=_SAMPLE,
    )
    claim.refuse_foreign_files()
    refuse_unwritable(claim.folder, "choose another --output")
    sample = {"num_asked": options.rows, "seed": options.seed}
    claim.create(sample)
    found = {**sample, **claim.read()}
    claim.refuse_another({name: found[name] for name in sample}, sample)
    return claim.folder


def _concluded(options: ChooseOptions, samples: Sequence[Embedded], trials: Trials, pricing: Pricing) -> TowerChoice:
    from lit_precompute.choosing.sample import rows_read

    split, speed = trials.split, samples[0].speed
    where = f"{counted(speed.num_devices, 'device')} of kind {speed.device}, {counted(speed.num_cores, 'core')}"
    return TowerChoice(
        source=options.source.path,
        output=options.output,
        num_asked=options.rows,
        seed=options.seed,
        num_rows=rows_read(samples),
        num_trained_on=len(split.trained_on),
        num_held_out=len(split.held_out),
        num_held_out_texts=trials.num_texts,
        num_alike=split.num_alike,
        num_left_out=len(split.left_out),
        num_unusable=trials.num_unusable,
        trainings=options.trainings,
        text_tower=options.text_tower,
        device=where,
        machine=pricing.machine.words,
        currency=pricing.prices.currency,
        chances=trials.chances,
        towers=tuple(_in_order(options, samples, trials, pricing)),
        notes=tuple(_notes(options, samples, trials, pricing)),
    )


def _in_order(
    options: ChooseOptions, samples: Sequence[Embedded], trials: Trials, pricing: Pricing
) -> list[ChosenTower]:
    """Returns the towers, best first."""
    found = _figures(trials, options.seed)
    towers = [
        ChosenTower(
            name=sample.name,
            tower=sample.options.tower.name,
            width=sample.manifest.tower.output_width,
            num_parameters=sample.manifest.tower.num_parameters,
            resolution=sample.manifest.tower.architecture["resolution"],
            dataset=sample.options.output,
            num_rows=sample.manifest.num_rows,
            num_failures=sample.manifest.num_failures,
            tower_rate=sample.speed.tower_rate,
            decoding_rate=sample.speed.decoding_rate,
            job_rate=sample.speed.job_rate,
            limit=sample.speed.limit,
            million_rows=pricing.cost(place, sample.speed.rate),
            recalls=found[place].recalls if place in found else {},
            difference=found[place].difference if place in found else None,
            error=trials.towers[place].error,
        )
        for place, sample in enumerate(samples)
    ]
    return sorted(towers, key=lambda tower: -tower.measure)


class _Figures(NamedTuple):
    recalls: dict[str, Estimate]
    difference: Estimate | None


def _figures(trials: Trials, seed: int) -> dict[int, _Figures]:
    """Returns the figures of each tower, by its place, but for those of which a training failed."""
    from lit_precompute.tune.evaluation.paired import FIGURES
    from lit_precompute.tune.evaluation.trials import compare_runs

    places = [place for place, tuned in enumerate(trials.towers) if tuned.hits]
    if not places:
        return {}
    compared = compare_runs([trials.towers[place].hits for place in places], seed=seed)
    models = range(len(places))
    best = max(models, key=lambda model: compared.estimate(model, MEASURE).value)
    return {
        places[model]: _Figures(
            {name: compared.estimate(model, name) for name in FIGURES},
            None if model == best else compared.difference(model, best, MEASURE),
        )
        for model in models
    }


def _notes(options: ChooseOptions, samples: Sequence[Embedded], trials: Trials, pricing: Pricing) -> list[str]:
    split, speed = trials.split, samples[0].speed
    notes: list[str] = []
    if split.num_alike:
        left = f"; {counted(len(split.left_out), 'row')} left out" if split.left_out else ""
        notes.append(
            f"{counted(split.num_alike, 'row')} share a text or an image with another: such rows are tuned on, "
            f"not held out, unless there are too few others{left}"
        )
    if trials.num_unusable:
        notes.append(f"{counted(trials.num_unusable, 'row')} left out: without a text, or not embedded by every tower")
    if len(split.held_out) < _FEW_HELD_OUT:
        notes.append(
            f"{counted(len(split.held_out), 'row')} held out, which tell little: give more --rows or --held-out"
        )
    if any(each.speed.device != speed.device for each in samples):
        notes.append("the towers were not all embedded on the same kind of device: compare their rates with care")
    return [*notes, *pricing.notes()]
