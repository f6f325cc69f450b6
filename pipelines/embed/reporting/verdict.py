"""The verdict on a job: which part of the work was the bottleneck, and what to change."""

from collections.abc import Sequence

from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitSeconds
from lit_precompute.schemas.tables import StrictModel

READING, DECODING, DEVICE, WRITING = "reading", "decoding", "device", "writing"
STARTING, COPYING, WAITING_FOR_WORK = "starting", "copying", "waiting for work"

# Less is not worth a line: nothing stands out, or the job was over too soon.
_LEAST_SHARE, _LEAST_S = 0.5, 10.0


class Verdict(StrictModel):
    """Which part of the work was the bottleneck.

    Attributes:
      bottleneck: "reading", "decoding", "device", "writing", "starting", "copying" (within the embedding process) or
        "waiting for work" (workers that had no unit while others finished theirs).
      share: its share of the workers' time.
      shares: that of every part; they add up to 1.
      device_share: how much of the workers' time the devices were busy.
      sentence: the same in words, and what to change.
      is_significant: whether changing something would help: it takes most of the time of a job of some length.
    """

    bottleneck: str
    share: float
    shares: dict[str, float]
    device_share: float
    sentence: str
    is_significant: bool


def judge(seconds: UnitSeconds, idle_s: float, machines: Sequence[Machine]) -> Verdict:
    """Returns the verdict.

    Args:
      seconds: of the workers' processes.
      idle_s: seconds that workers had no unit while others finished theirs.
      machines: what was embedded on.
    """
    parts = _parts(seconds, idle_s)
    total_s = sum(parts.values()) or 1.0
    bottleneck = max(parts, key=lambda part: parts[part])
    share, device_share = parts[bottleneck] / total_s, min(seconds.device / total_s, 1.0)
    words = f"{_WORDS[bottleneck].format(share=f'{share:.0%}')} (the device was busy {device_share:.0%})"
    return Verdict(
        bottleneck=bottleneck,
        share=share,
        shares={part: value / total_s for part, value in parts.items()},
        device_share=device_share,
        sentence=f"{bottleneck} was the bottleneck: {words}; {_advice(bottleneck, seconds, machines)}",
        is_significant=share >= _LEAST_SHARE and total_s >= _LEAST_S,
    )


def _parts(seconds: UnitSeconds, idle_s: float) -> dict[str, float]:
    """Returns the seconds of each part; those of waiting for images are what decoders spend them on."""
    in_decoders = seconds.reading_images + seconds.decoding
    read_share = seconds.reading_images / in_decoders if in_decoders else 0.0
    # While decoders work, somebody waits no longer than they do; before, they import what they need.
    waited_s = min(seconds.waiting_for_images, in_decoders)
    return {
        READING: seconds.reading_rows + waited_s * read_share,
        DECODING: waited_s * (1 - read_share),
        DEVICE: seconds.waiting_for_device,
        WRITING: seconds.writing,
        STARTING: seconds.starting + seconds.waiting_for_images - waited_s,
        COPYING: seconds.other,
        WAITING_FOR_WORK: idle_s,
    }


_WORDS = {
    READING: "{share} of the time went into waiting for the source",
    DECODING: "{share} of the time went into waiting for images to be decoded",
    DEVICE: "{share} of the time went into waiting for embeddings",
    WRITING: "{share} of the time went into writing shards",
    STARTING: "{share} of the time went into importing libraries, and loading and compiling the tower",
    COPYING: "{share} of the time went into the embedding process's own steps, such as copying images into batches",
    WAITING_FOR_WORK: "{share} of the workers' time passed without a unit, while others finished theirs",
}


def _advice(bottleneck: str, seconds: UnitSeconds, machines: Sequence[Machine]) -> str:
    """Returns what to change."""
    if bottleneck == DECODING:
        return _advice_on_decoding(machines)
    if bottleneck == READING and seconds.reading_images > seconds.reading_rows:
        return "raise --decode-workers, each of which reads one image at a time, and keep source and workers close"
    if bottleneck == DEVICE and all(machine.device == "cpu" for machine in machines):
        return "embed on an accelerator, or on more machines"
    return _ADVICE[bottleneck]


_ADVICE = {
    READING: "keep source and workers in one region, or the source on a faster disk",
    DEVICE: "take faster accelerators or more of them (bfloat16 is faster, too, but gives another dataset)",
    WRITING: "keep output and workers in one region, or the output on a faster disk",
    STARTING: "give each worker more to do: fewer workers, which keep the tower that they have loaded",
    COPYING: "take more machines with fewer devices each",
    WAITING_FOR_WORK: "cut the source into more units (a smaller --rows-per-shard), or take fewer workers",
}


def _advice_on_decoding(machines: Sequence[Machine]) -> str:
    if any(machine.device != "cpu" and machine.decode_in == "threads" for machine in machines):
        return "decode in processes (--decode-in processes)"
    spare = [machine for machine in machines if machine.decode_workers < machine.cores]
    if spare:
        machine = max(spare, key=lambda machine: machine.cores)
        return f"use all {machine.cores} cores (--decode-workers {machine.cores}; it was {machine.decode_workers})"
    return "take machines with more cores, or more machines"
