"""`--retry-failures` on a finished dataset, killed at each step while others read it, on disk and in stores."""

import contextlib
import threading

import pytest

from lit_precompute.schemas import DatasetError, EmbeddingDataset
from lit_precompute.schemas.storage import open_folder
from tests.faults.jobs import content_of, embed
from tests.faults.points import Aim, seeded
from tests.pipelines.embed.making import draw_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]

NUM_ROWS = 24
# Images that are not there at first, in two of three shards; one image never is.
LATE, NEVER = (2, 20), 5


@pytest.fixture(scope="module")
def retried(undisturbed, forks):
    """A dataset in which images were missing, what it is once they are there, and the steps in between."""
    place = open_folder(f"{undisturbed.place}/retried")
    for number in range(NUM_ROWS):
        if number not in (*LATE, NEVER):
            place.write(f"{number:03d}.png", draw_image(number))
    rows = "".join(f"{number:03d}.png\ttext {number}\n" for number in range(NUM_ROWS))
    place.write("captions.tsv", f"path\ttext\n{rows}".encode())

    def command(output):
        return embed(f"{place.path}/captions.tsv", output, undisturbed.weights)

    first, last = f"{undisturbed.place}/first", f"{undisturbed.place}/last"
    ended = forks.run(*command(first))
    assert ended.status == 0, ended.said
    for number in LATE:
        place.write(f"{number:03d}.png", draw_image(number))
    _copy(first, last)
    ended = forks.run(*command(last), "--retry-failures")
    assert ended.status == 0, ended.said
    assert "2 of them now have embeddings" in " ".join(ended.said.split())
    return command, first, last, len(ended.journal["seconds"]["withdrawing"])


def _copy(output, other):
    source, target = open_folder(output), open_folder(other)
    for name in source.find():
        target.write(name, source.read(name))


def test_it_gives_the_bytes_of_a_job_in_which_all_reads_worked(undisturbed, retried, forks):
    command, _, last, _ = retried
    whole = f"{undisturbed.place}/whole"
    assert forks.run(*command(whole)).status == 0
    assert content_of(last) == content_of(whole)


def test_killed_at_each_step_of_the_withdrawal_it_is_resumed_and_readers_see_one_dataset_or_the_other(
    undisturbed, retried, forks, seed, scaled, counted
):
    command, first, last, num_steps = retried
    assert num_steps > 10
    wanted, seen = content_of(last), {_rows_of(first), _rows_of(last)}
    generator = seeded(seed, "retries", undisturbed.kind)
    for step in sorted(generator.sample(range(num_steps), scaled(num_steps))):
        output = f"{undisturbed.place}/retry-{step}"
        _copy(first, output)
        with EmbeddingDataset.open(output) as opened_before, _reading(output) as (read, refused):
            ended = forks.run(*command(output), "--retry-failures", aim=Aim("withdrawing", step + 1))
            assert ended.is_killed, ended.said
            is_withdrawn = "manifest.json" not in content_of(output)
            again = [] if is_withdrawn else ["--retry-failures"]
            ended = forks.run(*command(output), *again)
            assert ended.status == 0, ended.said
            _check_opened_before(opened_before, first)
        assert content_of(output) == wanted, step
        assert set(read) <= seen
        assert all("unfinished job" in why or "changed since" in why for why in refused), refused
        counted["kills while withdrawing"] += 1


def _check_opened_before(dataset, first):
    """A dataset that was open while shards were replaced gives the old rows, which a cache may have, or an error."""
    try:
        found = dataset.rows(0, NUM_ROWS // 2)
    except DatasetError as error:
        assert "shard 0 has been changed since the dataset was opened" in str(error)
        return
    assert dataset.is_remote
    with EmbeddingDataset.open(first) as before:
        rows = before.rows(0, NUM_ROWS // 2)
    assert found["key"].equals(rows["key"]) and found["texts"].equals(rows["texts"])
    assert found["embedding"].tobytes() == rows["embedding"].tobytes()


def _rows_of(output, pause=None):
    """Returns all rows, failed ones included; waits for a moment between opening the dataset and reading it."""
    with EmbeddingDataset.open(output) as dataset:
        if pause:
            pause.wait(0.1)
        rows = [
            (row["key"], row["texts"], row["embedding"].tobytes()) for row in dataset.rows(0, len(dataset)).to_rows()
        ]
        failed = [(row["key"], row["reason"]) for row in dataset.failures().to_pylist()]
    return str((rows, failed))


@contextlib.contextmanager
def _reading(output):
    """Opens and reads a dataset again and again during the block; yields what was read, and why it could not be."""
    read, refused, stop = list[str](), set[str](), threading.Event()

    def reading():
        while not stop.is_set():
            try:
                read.append(_rows_of(output, stop))
            except DatasetError as error:
                refused.add(str(error))

    reader = threading.Thread(target=reading)
    reader.start()
    try:
        yield read, refused
    finally:
        stop.set()
        reader.join()
