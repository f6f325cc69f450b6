"""Flags that go to Beam."""

import pytest

from lit_precompute.commands.beam_flags import check_beam_flags

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


def test_beams_own_flags_pass():
    check_beam_flags(["--runner=FnApiRunner", "--direct_num_workers", "2", "--direct_running_mode=multi_processing"])


@pytest.mark.parametrize(
    "flags",
    [
        ["--runner=DaskRunner", "--dask_client_address=tcp://127.0.0.1:8786", "--dask_npartitions", "8"],
        ["--runner=FlinkRunner", "--flink_master=127.0.0.1:8081", "--parallelism=2", "--files_to_stage=a.jar"],
        ["--runner=SparkRunner", "--spark_master_url=spark://127.0.0.1:7077", "--bundle_size", "1"],
        ["--runner=PortableRunner", "--job_endpoint=127.0.0.1:8099", "--retain_docker_containers"],
        ["--runner=PrismRunner", "--prism_log_level=warn"],
    ],
)
def test_flags_of_engines_pass(flags):
    check_beam_flags(flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no-such-flag", "3"], "unknown options --no-such-flag 3: neither lit-embed nor Apache Beam has them"),
        (["--runner=DaskRunner", "--dask_workers=3"], "unknown options --dask_workers=3"),
        (["--runner=FnApiRunner", "--bundle_size=1"], "unknown options --bundle_size=1"),
        (["--runner=SparkRunner", "--bundle_size", "1", "--bundel=2", "3"], "unknown options --bundel=2 3:"),
        (["--batchsize", "4"], "unknown options --batchsize 4: .* has them; did you mean --batch-size[?]$"),
        (["--rows_per_shards=4"], "did you mean --rows-per-shard[?]$"),
        (["b.tar", "c.tar"], "b.tar and 1 more: an argument too many; put a pattern in quotes, such as 'data/[*].tar'"),
        (["--direct_num_workers=two"], r"--direct_num_workers: invalid int value: 'two' \(an option of Apache Beam\)"),
        (["--direct_running_mode=rockets"], "--direct_running_mode: invalid choice: 'rockets'"),
    ],
)
def test_an_unknown_flag_and_a_wrong_value_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        check_beam_flags(flags)
