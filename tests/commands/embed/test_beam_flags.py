"""Flags that go to Beam."""

import pytest

from lit_precompute.commands.embed.beam_flags import check_beam_flags

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


def test_beams_own_flags_pass():
    check_beam_flags(["--runner=FnApiRunner", "--direct_num_workers", "2", "--direct_running_mode=multi_processing"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no-such-flag", "3"], "unknown options --no-such-flag 3: neither lit-embed nor Apache Beam has them"),
        (["--direct_num_workers=two"], r"--direct_num_workers: invalid int value: 'two' \(an option of Apache Beam\)"),
        (["--direct_running_mode=rockets"], "--direct_running_mode: invalid choice: 'rockets'"),
    ],
)
def test_an_unknown_flag_and_a_wrong_value_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        check_beam_flags(flags)
