"""Whole jobs on a store that fails, source and output: the same bytes, or a sentence and then the same bytes."""

import pytest

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.schemas.storage import Patience, asking
from tests.faults.jobs import NUM_UNITS, content_of, embed, make_source
from tests.faults.points import seeded
from tests.pipelines.embed.making import run
from tests.stores.proxy import Fault, store_proxy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]

NUM_JOBS = 10  # of each kind of fault, at each store
_SHARE = 0.2
# Listings are the only requests with a prefix.
_LISTINGS = r"prefix="


@pytest.fixture(scope="module", params=["gs", "s3"])
def store(request, tmp_path_factory, weights):
    """A proxy before a store, the source there, and what an undisturbed job of it leaves."""
    server = request.getfixturevalue("gcs_server" if request.param == "gs" else "s3_server")
    with store_proxy(server) as proxy, pytest.MonkeyPatch.context() as patch:
        bucket = server.make_bucket()
        source = make_source(tmp_path_factory.mktemp("source"), bucket)
        assert run(patch, *embed(source, f"{bucket}/undisturbed", weights)[1:]) == 0
        yield proxy, bucket, source, content_of(f"{bucket}/undisturbed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Shortens the pauses between attempts, and how long a server may be silent."""
    connect = asking.connect
    monkeypatch.setattr(Patience, "pause_s", lambda self, attempt, wait_s: 0.001)
    monkeypatch.setattr(asking, "connect", lambda url, timeout_s: connect(url, 0.5))


@pytest.fixture
def proxy(store):
    yield store[0]
    store[0].heal()


@pytest.fixture
def launch(store, weights, monkeypatch, tmp_path, capsys):
    """Returns a function that runs the command on an output of its own; it returns the status and what was said."""
    _, bucket, source, _ = store

    def launch(name=tmp_path.name):
        status = run(monkeypatch, *embed(source, f"{bucket}/{name}", weights)[1:])
        said = capsys.readouterr()
        return status, " ".join((said.out + said.err).split())

    return launch


@pytest.fixture
def left(store, tmp_path):
    """Returns a function that returns what is in the output."""
    return lambda name=tmp_path.name: content_of(f"{store[1]}/{name}")


KINDS = ("status 429", "status 503", "reset", "lost", "cut", "slow 0.2", "half", "hang")


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_in_a_storm_of_faults_gives_the_same_bytes(store, proxy, launch, left, kind, seed, scaled, counted):
    generator = seeded(seed, "storm", kind, proxy.server.scheme)
    method = ("POST" if proxy.server.scheme == "gs" else "PUT") if kind == "half" else ""
    for number in range(scaled(NUM_JOBS)):
        proxy.storm(Fault(kind, method), 0.02 if kind == "hang" else _SHARE, generator)
        status, said = launch(f"{kind}-{number}".replace(" ", "-"))
        num_faults = proxy.heal()
        assert status == 0, said
        assert left(f"{kind}-{number}".replace(" ", "-")) == store[3]
        assert num_faults
        counted[f"faults of kind {kind.split(' ')[0]} {kind.split(' ')[1] if 'status' in kind else ''}"] += num_faults


@pytest.mark.parametrize("answer", ["status 403 AccessDenied", "status 401 AuthorizationRequired"])
def test_permission_lost_in_the_middle_is_refused_at_once_and_the_same_command_resumes(
    store, proxy, launch, left, answer, seed, scaled
):
    generator = seeded(seed, "permission", answer, proxy.server.scheme)
    for _ in range(scaled(NUM_JOBS)):
        name = f"permission-{generator.randrange(10**9)}"
        after = generator.randrange(30, 90)
        proxy.fail(Fault(""), times=after)  # lets them pass
        proxy.fail(Fault(answer), times=10_000)
        status, said = launch(name)
        num_refused = 10_000 - proxy.num_left
        proxy.heal()
        assert status != 0, (after, said)
        assert answer.split(" ")[1] in said
        assert f"{store[1]}/" in said
        assert "Traceback" not in said, said
        assert num_refused < 60, said  # nothing is tried again
        status, said = launch(name)
        assert status == 0, said
        assert left(name) == store[3]


@pytest.mark.parametrize("fault", ["hang", "reset", "status 503"])
def test_a_store_that_stays_away_ends_the_job_in_words_and_the_same_command_resumes(
    store, proxy, launch, left, fault, seed
):
    generator = seeded(seed, "away", fault, proxy.server.scheme)
    proxy.fail(Fault(""), times=generator.randrange(30, 90))
    proxy.fail(Fault(fault), times=10_000)
    status, said = launch()
    proxy.heal()
    assert status != 0
    assert "after 6 attempts" in said
    assert f"{store[1]}/" in said
    assert "Traceback" not in said
    status, said = launch()
    assert status == 0, said
    assert left() == store[3]


def test_listings_that_are_late_lose_nothing(store, proxy, launch, left, monkeypatch):
    """The first launch stops before it publishes; the second one is told that nothing is there."""
    publish = JobDirectory.publish
    monkeypatch.setattr(JobDirectory, "publish", _not_yet)
    assert launch()[0] == 1
    monkeypatch.setattr(JobDirectory, "publish", publish)
    assert sum(name.startswith("_work/shards/") for name in left()) == NUM_UNITS
    proxy.fail(Fault("stale", "GET", rf"{_LISTINGS}.*_work"), times=10_000)
    status, said = launch()
    proxy.heal()
    assert status == 0, said
    assert {name: data for name, data in left().items() if not name.startswith("_work/")} == store[3]
    assert launch()[0] == 0
    assert left() == store[3]  # what the listing did not show is removed as soon as it does


def _not_yet(*_):
    raise RuntimeError("not yet")
