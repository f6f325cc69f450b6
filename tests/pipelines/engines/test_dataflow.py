"""Dataflow: what is checked before a job is submitted, what is set, and why a job failed."""

import pytest

from lit_precompute.pipelines.engines.dataflow import DataflowJob, dataflow_flags, why_failed

CLOUD = ("--project=my-project", "--region=us-central1", "--temp_location=gs://bucket/tmp")
L4 = ("--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver",)
PLACES = {"--source": "gs://bucket/a.tar", "--output": "gs://bucket/out", "--weights": None}
ONE_PROCESS = "--experiments=no_use_multiple_sdk_containers"


def test_a_job_on_cpus_gets_one_process_a_machine():
    assert dataflow_flags(CLOUD, places=PLACES) == [ONE_PROCESS]
    assert dataflow_flags((*CLOUD, ONE_PROCESS), places=PLACES) == []


def test_an_accelerator_and_large_weights_need_a_larger_disk():
    gpu = (*CLOUD, *L4, "--machine_type=g2-standard-8")
    assert dataflow_flags(gpu, places=PLACES) == [ONE_PROCESS, "--disk_size_gb=50"]
    assert dataflow_flags(gpu, places=PLACES, weights_bytes=7_200_000_000)[1] == "--disk_size_gb=58"
    assert dataflow_flags((*gpu, "--disk_size_gb=200"), places=PLACES) == [ONE_PROCESS]


@pytest.mark.parametrize(
    ("flags", "places", "message"),
    [
        (CLOUD[1:], PLACES, r"needs --project: for example --project=my-project"),
        (["--project=my-project", "--region=r"], PLACES, "needs --temp_location"),
        (
            [*CLOUD[:2], "--temp_location=/tmp"],
            PLACES,
            "--temp_location /tmp: must be a folder on Google Cloud Storage",
        ),
        (CLOUD, {"--source": "images/captions.tsv"}, "--source images/captions.tsv: Dataflow's workers cannot read"),
        (CLOUD, {"--weights": "/weights.npz"}, "--weights /weights.npz: .*give gs://"),
        ([*CLOUD, "--machine_type=g2-standard-8"], PLACES, "carries an accelerator"),
        ([*CLOUD, *L4, "--machine_type=g2-standard-8", "--disk_size_gb=30"], PLACES, "workers need 50 GB"),
        ([*CLOUD, "--experiments=use_multiple_sdk_containers"], PLACES, "every process would load the tower"),
    ],
)
def test_what_would_fail_later_is_refused(flags, places, message):
    with pytest.raises(ValueError, match=message):
        dataflow_flags(flags, places=places)


def test_the_link_is_the_consoles():
    job = DataflowJob("my-project", "us-central1", "2026-01-01_7")
    assert job.link == "https://console.cloud.google.com/dataflow/jobs/us-central1/2026-01-01_7?project=my-project"


SUMMARY = (
    "Workflow failed. Causes: S02:Embed failed., The job failed because a work item has failed 4 times. Look in "
    "previous log entries. The work item was attempted on these workers: \n w1\n Root cause: lost contact."
)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (
            [
                "Traceback (most recent call last):\n  File x\nlit_precompute.pipelines.embed.errors.WorkerError: rows "
                "1 to 8 of gs://a: gone. [while running 'Embed-ptransform-3']\n\nDuring handling\n    ... 1 more\n",
                SUMMARY,
            ],
            "WorkerError: rows 1 to 8 of gs://a: gone",
        ),
        (
            ["Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'jax'", SUMMARY],
            "ModuleNotFoundError: No module named 'jax'",
        ),
        (
            ["Startup of the worker pool in zone z failed to bring up any of the desired 1 workers.", SUMMARY],
            "Startup of the worker pool in zone z failed to bring up any of the desired 1 workers",
        ),
        (["Workflow failed. Causes: Quota 'GPUS' exceeded."], "Quota 'GPUS' exceeded"),
        ([SUMMARY], "The job failed because a work item has failed 4 times"),
        ([], ""),
    ],
)
def test_the_workers_own_sentence_is_found(texts, sentence):
    assert why_failed(texts).startswith(sentence)


def test_the_launcher_finds_the_sentence_in_it():
    from lit_precompute.pipelines.embed.errors import in_words

    text = "lit_precompute.pipelines.embed.errors.WorkerSourceError: a.tar: has changed [while running 'Embed']"
    cause = in_words(RuntimeError("\n" + why_failed([f"Traceback (most recent call last):\n{text}", SUMMARY])), "")
    assert (cause.sentence, cause.is_final) == ("a.tar: has changed", True)
