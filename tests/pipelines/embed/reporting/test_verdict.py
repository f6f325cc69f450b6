"""What is named as the bottleneck, and what is advised."""

import pytest

from lit_precompute.pipelines.embed.reporting.unit_report import Machine, UnitSeconds
from lit_precompute.pipelines.embed.reporting.verdict import judge


def _machine(**more):
    return Machine(
        **{"device": "NVIDIA H100", "num_devices": 1, "cores": 16, "decode_in": "processes", "decode_workers": 16}
        | more
    )


@pytest.mark.parametrize(
    ("seconds", "idle_s", "bottleneck", "advice"),
    [
        ({"waiting_for_images": 60.0, "decoding": 900.0, "reading_images": 20.0}, 0.0, "decoding", "more cores"),
        ({"waiting_for_images": 60.0, "decoding": 20.0, "reading_images": 900.0}, 0.0, "reading", "--decode-workers"),
        ({"reading_rows": 60.0, "decoding": 900.0}, 0.0, "reading", "in one region"),
        ({"waiting_for_device": 60.0, "device": 70.0}, 0.0, "device", "faster accelerators"),
        ({"writing": 60.0}, 0.0, "writing", "faster disk"),
        ({"starting": 60.0}, 0.0, "starting", "fewer workers"),
        ({"waiting_for_images": 60.0, "decoding": 1.0}, 0.0, "starting", "fewer workers"),  # decoders import
        ({"other": 60.0}, 0.0, "copying", "more machines"),
        ({"waiting_for_device": 20.0}, 60.0, "waiting for work", "--rows-per-shard"),
    ],
)
def test_the_part_that_takes_most_of_the_time_is_the_bottleneck(seconds, idle_s, bottleneck, advice):
    verdict = judge(UnitSeconds(**seconds), idle_s, [_machine()])
    assert verdict.bottleneck == bottleneck
    assert verdict.is_significant
    assert sum(verdict.shares.values()) == pytest.approx(1)
    assert verdict.sentence.startswith(f"{bottleneck} was the bottleneck: ") and advice in verdict.sentence


def test_shares_are_worked_out_from_seconds():
    seconds = UnitSeconds(
        starting=10.0, waiting_for_images=60.0, waiting_for_device=10.0, writing=15.0, device=25.0, decoding=90.0,
        reading_images=30.0,
    )  # fmt: skip
    verdict = judge(seconds, 5.0, [_machine()])
    assert (verdict.bottleneck, verdict.share, verdict.device_share) == ("decoding", 0.45, 0.25)
    assert verdict.shares == {
        "reading": 0.15, "decoding": 0.45, "device": 0.1, "writing": 0.15, "starting": 0.1, "copying": 0.0,
        "waiting for work": 0.05,
    }  # fmt: skip
    assert not verdict.is_significant  # less than half
    assert "45% of the time went into waiting for images to be decoded (the device was busy 25%)" in verdict.sentence


@pytest.mark.parametrize(
    ("machine", "advice"),
    [
        ({"decode_in": "threads"}, "--decode-in processes"),
        ({"decode_workers": 4}, "use all 16 cores (--decode-workers 16; it was 4)"),
        ({"device": "cpu", "decode_in": "threads"}, "machines with more cores, or more machines"),
    ],
)
def test_the_advice_on_decoding_depends_on_the_machine(machine, advice):
    seconds = UnitSeconds(waiting_for_images=60.0, decoding=60.0)
    assert advice in judge(seconds, 0.0, [_machine(**machine)]).sentence


def test_a_short_job_is_not_worth_a_line():
    assert not judge(UnitSeconds(starting=9.0), 0.0, [_machine()]).is_significant
    verdict = judge(UnitSeconds(), 0.0, [])
    assert not verdict.is_significant and verdict.share == 0
