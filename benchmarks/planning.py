"""What a launcher does before anything is embedded: listing and planning 100,000 files, and resuming at the last unit.

    python -m benchmarks.planning [--files N] [--units N]      # needs .venv-servers (`make servers`)

- List and plan, as for an engine whose workers look into the files: recognise and list the source, store the listing,
  build the graph. The source is 100,000 tars in fsspec's memory driver, and on the tests' fake GCS, whose server shares
  the machine; the output is beside it. Each in a process of its own, whose memory is its peak beyond the imports (and
  the memory driver's files).
- Resume: a job of 10,000 units of one row, of which all but the last have a marker and files, on disk and on the fake
  GCS: from the launch in a process that has imported everything to the published dataset.
"""

import argparse
import contextlib
import json
import logging
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import fsspec
from PIL import Image

from benchmarks import images
from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.directory.markers import ShardMarker
from lit_precompute.pipelines.embed.launch import Launch
from lit_precompute.pipelines.embed.options import EmbedOptions
from lit_precompute.precompute.sources.spec import SourceSpec
from lit_precompute.schemas import Manifest
from lit_precompute.schemas.dataset_files import shard_file_name
from lit_precompute.towers.options import ImageTowerOptions
from tests.stores.servers import started
from tests.towers import tiny_tower

NUM_FILES, NUM_UNITS = 100_000, 10_000
MOST_LISTING_S, MOST_LISTING_MB, MOST_RESUMING_S, MOST_GRAPH_MB = 60, 1000, 10, 10
FILLED = pathlib.Path(__file__).with_name("filled_gcs.py")


def peak_mb() -> float:
    """Returns the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def options_of(source: str, output: str, folder: pathlib.Path) -> EmbedOptions:
    """Returns a job with one row a unit and a tower that takes no time."""
    tiny_tower.register_tiny_tower()
    tower = ImageTowerOptions(name=tiny_tower.NAME, weights=str(folder / "weights.npz"))
    return EmbedOptions(source=SourceSpec(source), tower=tower, output=output, rows_per_shard=1, batch_size=1)


def list_and_plan(source: str, output: str, num_files: int) -> dict[str, float]:
    """Returns the seconds, memory and graph of a launcher whose workers look into the files."""
    import apache_beam as beam

    from lit_precompute.pipelines.embed import graph
    from lit_precompute.pipelines.embed.launch_options import LaunchOptions
    from lit_precompute.pipelines.embed.planning.found_source import check_listing, find_source
    from lit_precompute.pipelines.embed.planning.look import store_listing
    from lit_precompute.precompute.sources.webdataset import units  # noqa: F401 -- so that its import counts as one

    if source.startswith("memory://"):
        memory = fsspec.filesystem("memory")
        for number in range(num_files):
            memory.pipe_file(f"/source/train/{number:05d}.tar", b"")
    before_mb, started_s = peak_mb(), time.perf_counter()
    options, directory = options_of(source, output, pathlib.Path()), JobDirectory(output)
    found = find_source(options, directory)
    check_listing(found, directory)
    listed_s = time.perf_counter() - started_s
    assert len(found.files) == num_files, len(found.files)
    listing = store_listing(directory.folder, found.files)
    pipeline = beam.Pipeline(runner="DirectRunner")
    launch = LaunchOptions(embed=options, source=found.source, name="launch", files=found.versions)
    graph.build(pipeline, launch, listing, num_files)
    graph_mb = pipeline.to_runner_api().ByteSize() / 1e6
    seconds = time.perf_counter() - started_s
    return {"seconds": seconds, "listing_s": listed_s, "mb": peak_mb() - before_mb, "graph_mb": graph_mb}


def prepare_resume(folder: pathlib.Path, num_units: int) -> EmbedOptions:
    """Returns a job of which all units but the last are done: their markers and files are those of one real row."""
    tiny_tower.write_weights(folder / "weights.npz")
    Image.fromarray(images.photograph(0, 16, 16)).save(folder / "image.png")
    for number in range(num_units):
        (folder / f"{number:05d}.png").symlink_to(folder / "image.png")
    tables = {}
    for name, count in (("one", 1), ("all", num_units)):
        rows = [f"{number:05d}.png\ta text" for number in range(count)]
        tables[name] = folder / f"{name}.tsv"
        tables[name].write_text("\n".join(["path\ttext", *rows]) + "\n")
    one = options_of(str(tables["one"]), str(folder / "one"), folder)
    Launch(one).run()
    options = options_of(str(tables["all"]), str(folder / "out"), folder)
    Launch(options)
    info = next(iter(Manifest.read(one.output).shards))
    markers = JobDirectory(options.output).markers
    for number in range(num_units - 1):
        for table, file in info.files.items():
            target = pathlib.Path(options.output, shard_file_name(table, number, file.num_blocks))
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(pathlib.Path(one.output, shard_file_name(table, 0, file.num_blocks)), target)
        markers.write(ShardMarker(info=info.model_copy(update={"shard": number}), probes=[], reasons={}))
    return options


def resume(source: str, output: str, folder: pathlib.Path) -> dict[str, float]:
    """Returns the seconds until the dataset is published, and until the launch was planned."""
    started_s = time.perf_counter()
    launch = Launch(options_of(source, output, folder))
    planned_s = time.perf_counter() - started_s
    manifest = launch.run()
    return {"seconds": time.perf_counter() - started_s, "planned_s": planned_s, "rows": manifest.num_rows}


def in_child(what: str, *arguments: object) -> dict[str, float]:
    """Returns what a process of its own measures."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.planning", "--child", what, *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def as_child(what: str, *arguments: str) -> dict[str, float]:
    """Measures one of the two."""
    if what == "list":
        return list_and_plan(arguments[0], arguments[1], int(arguments[2]))
    # What starting a process costs is another benchmark's.
    import lit_precompute.pipelines.embed.graph
    import lit_precompute.pipelines.embed.workers.preparing  # noqa: F401
    from lit_precompute.precompute.images.libraries import host_tensorflow

    host_tensorflow()
    return resume(arguments[0], arguments[1], pathlib.Path(arguments[2]))


def compare(num_files: int, num_units: int) -> bool:
    """Prints all figures; returns whether all goals are reached."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as servers:
        folder = pathlib.Path(name)
        options = prepare_resume(folder, num_units)
        server = servers.enter_context(started("gs", str(FILLED), num_files, options.output))
        servers.enter_context(server.selected())
        sys.stdout.write(f"listing and planning {num_files:,} tars; resuming at the last of {num_units:,} units\n")
        listings = {
            "memory driver": in_child("list", "memory://source/train", "memory://out", num_files),
            "fake GCS": in_child("list", "gs://source/train", "gs://source/out", num_files),
        }
        resumes = {
            where: in_child("resume", options.source.path, output, folder)
            for where, output in (("fake GCS", "gs://job"), ("disk", options.output))
        }
    for where, found in listings.items():
        sys.stdout.write(
            f"  {where:<14} planned in {found['seconds']:.1f} s (listed after {found['listing_s']:.1f} s; goal <= "
            f"{MOST_LISTING_S}), {found['mb']:.0f} MB (goal <= {MOST_LISTING_MB}), graph {found['graph_mb']:.2f} MB\n"
        )
    for where, found in resumes.items():
        sys.stdout.write(
            f"  {where:<14} resumed and published in {found['seconds']:.1f} s (goal <= {MOST_RESUMING_S}), planned "
            f"after {found['planned_s']:.1f} s\n"
        )
    return all(
        (
            *(found["seconds"] <= MOST_LISTING_S for found in listings.values()),
            *(found["mb"] <= MOST_LISTING_MB and found["graph_mb"] <= MOST_GRAPH_MB for found in listings.values()),
            *(found["seconds"] <= MOST_RESUMING_S for found in resumes.values()),
        )
    )


def main() -> int:
    """Prints the figures; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=NUM_FILES)
    parser.add_argument("--units", type=int, default=NUM_UNITS)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # of Beam, about clouds
    if asked.child:
        sys.stdout.write(json.dumps(as_child(*asked.child)) + "\n")
        return 0
    return int(not compare(asked.files, asked.units))


if __name__ == "__main__":
    sys.exit(main())
