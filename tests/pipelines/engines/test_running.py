"""A pipeline on its runner: state, waiting, cancelling, counters and errors, on runners whose results differ."""

import threading

import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.runner import PipelineResult, PipelineState

from lit_precompute.pipelines.embed.directory.job_directory import JobDirectory
from lit_precompute.pipelines.embed.errors import EmbedError, in_words
from lit_precompute.pipelines.embed.following import follow
from lit_precompute.pipelines.embed.reporting.progress import Watch
from lit_precompute.pipelines.engines.runners import new_pipeline
from lit_precompute.pipelines.engines.running import RunningJob, start
from tests.engines import stand_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]

LOCAL = ["--runner=FnApiRunner"]
PORTABLE = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
RUNNERS = pytest.mark.parametrize("flags", [LOCAL, PORTABLE], ids=["FnApiRunner", "PortableRunner"])
COUNTS = MetricsFilter().with_name("num-units")


def started(flags, folder, **options):
    pipeline = new_pipeline(flags)
    stand_in.build(pipeline, folder, **options)
    return start(pipeline)


@RUNNERS
def test_a_good_job_is_done_and_has_counters(tmp_path, flags):
    job = started(flags, tmp_path, hold=0)
    looks = []

    def look():
        looks.append((threading.current_thread(), job.state()))
        if looks[-1][1] == "running":
            (tmp_path / "go-on").touch()

    assert job.wait(look, every_s=0.1) == job.state() == "done"
    assert (threading.main_thread(), "running") in looks
    assert {thread for thread, _ in looks} == {threading.main_thread()}
    assert job.metrics(COUNTS) == {"num-units": 16}
    assert (job.error(), job.link) == ("", None)
    assert (job.job_id is None) == (job.runner == "FnApiRunner")
    stand_in.check(tmp_path)


@RUNNERS
def test_a_workers_sentence_is_found_in_the_error(tmp_path, flags):
    job = started(flags, tmp_path, fail=stand_in.fail)
    assert job.wait() == "failed"
    cause = in_words(RuntimeError(job.error()), str(tmp_path))
    assert cause.sentence == "unit 3: ValueError: no such thing" and cause.is_bug
    assert not (tmp_path / "manifest.json").exists()


def test_a_cancelled_job_is_told_from_a_failed_one(tmp_path):
    job = started(PORTABLE, tmp_path, hold=0)
    states = iter([None, job.cancel])

    def look():
        if cancel := next(states, None):
            assert cancel()

    assert job.wait(look, every_s=0.2) == "cancelled"
    assert not job.cancel()
    (tmp_path / "go-on").touch()  # Beam's local job server has no means to end the work


def test_a_job_in_this_process_has_no_one_to_cancel_it(tmp_path):
    job = started(LOCAL, tmp_path, hold=0)
    assert not job.cancel()
    (tmp_path / "go-on").touch()
    assert job.wait() == "done"


class _Refusing(PipelineResult):
    """A job whose engine does not let it be cancelled, as Dataflow does without the permission."""

    def __init__(self):
        super().__init__(PipelineState.RUNNING)

    def cancel(self):
        raise RuntimeError("403 no permission\ndataflow.jobs.update")

    def wait_until_finish(self, duration=None):
        threading.Event().wait(60)


def test_an_engine_that_refuses_to_cancel_is_one_sentence_and_following_ends(tmp_path):
    job = RunningJob("DataflowRunner", _Refusing())
    message = r"DataflowRunner could not be asked to cancel the job: 403 no permission\\ndataflow.jobs.update"
    with pytest.raises(ConnectionError, match=message):
        job.cancel()
    watch = Watch([JobDirectory(str(tmp_path))], None, [set()])
    with pytest.raises(EmbedError, match=rf"{message}. It may go on: `lit-embed cancel` asks its workers to stop"):
        follow(str(tmp_path), lambda: job, watch, lambda: 0, lambda progress: None, lambda: True)


def test_an_interrupt_leaves_the_wait_and_the_job_goes_on(tmp_path):
    job = started(LOCAL, tmp_path, hold=0)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.wait(interrupt, every_s=0.1)
    assert job.state() == "running"
    (tmp_path / "go-on").touch()
    assert job.wait() == "done"


def test_a_job_server_that_does_not_answer_is_an_error_at_once(tmp_path):
    with pytest.raises(ConnectionError, match=r"--job_endpoint=127\.0\.0\.1:9: no job server answers there"):
        started([*PORTABLE[:1], "--job_endpoint=127.0.0.1:9", "--job_server_timeout=1"], tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--runner=PrismRunner", "--prism_location={here}/prism"],
            r"--runner=PrismRunner cannot start the job: .*/prism.*; give --prism_location=FILE",
        ),
        (
            ["--runner=FlinkRunner", "--flink_job_server_jar={here}/server.jar"],
            r"--runner=FlinkRunner cannot start the job: .*'java'; give --flink_job_server_jar=FILE, or --runner=Port",
        ),
        (
            ["--runner=SparkRunner", "--spark_job_server_jar={here}/server.jar"],
            r"--runner=SparkRunner cannot start the job: .*'java'; give --spark_job_server_jar=FILE, or --runner=Port",
        ),
    ],
)
def test_a_job_server_that_cannot_be_started_is_one_sentence_with_what_to_give(tmp_path, monkeypatch, flags, message):
    """There is no Java, nor anything else, on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "server.jar").touch()
    with pytest.raises(ConnectionError, match=message):
        started([flag.format(here=tmp_path) for flag in flags], tmp_path)
