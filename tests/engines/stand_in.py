"""A stand-in for the embedding job: a pipeline of the same shape whose steps write small files into one folder.

It has what an engine may get wrong: outputs with tags, groups on one key, units that only workers know, a side input
computed from results, a branch that may be empty. Each step leaves a trace of the process that ran it.
"""

import hashlib
import json
import os
import pathlib
import time
import uuid

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import AsSingleton, TaggedOutput

from lit_precompute.pipelines.embed.errors import located

HOLD_S = 30.0
UNITS_PER_FILE = 4


def content(number):
    """Returns the bytes of a unit's file."""
    return hashlib.sha512(str(number).encode()).digest() * 64


def _write(path, data):
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    temporary.write_bytes(data)
    temporary.replace(path)


class Look(beam.DoFn):
    """Takes ranges of files; yields (file, number of units), and hashes with a tag."""

    def process(self, element):
        for file in range(*element):
            yield file, UNITS_PER_FILE
            for unit in range(UNITS_PER_FILE):
                yield TaggedOutput("hashes", (bytes([unit]), file))


class StoreList(beam.DoFn):
    """Takes everything that was found, at once; stores the list and yields the units."""

    def __init__(self, folder):
        self._folder = folder

    def process(self, element):
        _, found = element
        looks, repeats = sorted(found["looks"]), sorted(found["repeats"])
        assert len(repeats) == UNITS_PER_FILE, repeats
        _write(pathlib.Path(self._folder, "units.json"), json.dumps(looks).encode())
        yield 0, sum(count for _, count in looks)


class EmbedUnit(beam.DoFn):
    """Takes units; writes their files, and yields small results."""

    def __init__(self, folder, *, fail=None, slow_s=0.0, hold=None):
        self._folder, self._fail, self._slow_s, self._hold = folder, fail, slow_s, hold

    def setup(self):
        self._done = Metrics.counter("stand-in", "num-units")

    def process(self, element, num_before):
        with located(f"unit {element}", self._folder):
            folder = pathlib.Path(self._folder)
            (folder / "trace" / f"{element}-{os.getpid()}-{uuid.uuid4().hex[:8]}").write_text(str(num_before))
            if element == self._hold:
                self._wait(folder / "go-on")
            if self._fail and element == 3:
                self._fail()
            time.sleep(self._slow_s)
            _write(folder / f"unit-{element:03d}", content(element))
        self._done.inc()
        yield json.dumps({"unit": element}).encode()

    def _wait(self, path):
        """Holds the unit until the test goes on, which may kill this process first."""
        end = time.monotonic() + HOLD_S
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)


def fail():
    """Fails in a unit."""
    raise ValueError("no such thing")


def fail_deeply():
    """Fails from the bottom of a stack that is too deep to be pickled."""
    fail_deeply()


class Publish(beam.DoFn):
    """Takes all results at once; writes the manifest, and counts how often it was called."""

    def __init__(self, folder):
        self._folder = folder

    def process(self, element):
        _, results = element
        folder = pathlib.Path(self._folder)
        (folder / "published").mkdir(exist_ok=True)
        (folder / "published" / uuid.uuid4().hex).touch()
        units = sorted(json.loads(result)["unit"] for result in results)
        _write(folder / "manifest.json", json.dumps(units).encode())
        yield len(units)


def build(pipeline, folder, *, num_files=4, fail=None, slow_s=0.0, hold=None):
    """Adds the whole graph to a pipeline; returns what is published."""
    pathlib.Path(folder, "trace").mkdir(parents=True, exist_ok=True)
    found = (
        pipeline
        | "Files" >> beam.Create([(start, min(start + 2, num_files)) for start in range(0, num_files, 2)])
        | "SpreadFiles" >> beam.Reshuffle()
        | "Look" >> beam.ParDo(Look()).with_outputs("hashes", main="looks")
    )
    repeats = found["hashes"] | "ByHash" >> beam.GroupByKey() | "Repeats" >> beam.Map(lambda pair: len(list(pair[1])))
    together = {
        "looks": found["looks"] | "AllLooks" >> beam.Map(lambda look: (None, look)),
        "repeats": repeats | "AllRepeats" >> beam.Map(lambda repeat: (None, repeat)),
    }
    groups = together | "Together" >> beam.CoGroupByKey() | "StoreList" >> beam.ParDo(StoreList(str(folder)))
    earlier = pipeline | "Finished" >> beam.Create([]) | "ReadResults" >> beam.Map(lambda nothing: nothing)
    num_before = earlier | "Ones" >> beam.Map(lambda result: 1) | "Sum" >> beam.CombineGlobally(sum)
    embed = beam.ParDo(EmbedUnit(str(folder), fail=fail, slow_s=slow_s, hold=hold), AsSingleton(num_before))
    results = (
        groups
        | "Numbers" >> beam.FlatMap(lambda group: range(*group))
        | "SpreadUnits" >> beam.Reshuffle()
        | "Embed" >> embed
    )
    return (
        (earlier, results)
        | "Results" >> beam.Flatten()
        | "AllResults" >> beam.Map(lambda result: (None, result))
        | "AtOnce" >> beam.GroupByKey()
        | "Publish" >> beam.ParDo(Publish(str(folder)))
    )


def check(folder, *, num_files=4):
    """Checks that every unit has its bytes and that all were published once; returns the processes that embedded."""
    folder = pathlib.Path(folder)
    units = list(range(num_files * UNITS_PER_FILE))
    assert json.loads((folder / "manifest.json").read_text()) == units
    assert {path.name: path.read_bytes() for path in folder.glob("unit-*")} == {
        f"unit-{unit:03d}": content(unit) for unit in units
    }
    assert len(list((folder / "published").iterdir())) == 1
    return {path.name.split("-")[1] for path in (folder / "trace").iterdir()}
