"""Ctrl-C and SIGTERM in every long command."""

import io
import signal
import sys

import pytest
import rich.console

from lit_precompute.commands.stopping import StopRequest, interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def own_handlers():
    """Restores the handlers afterwards; meanwhile SIGINT is not ignored, as it is in a shell's background job."""
    before = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_requests_a_stop_and_the_second_stops_immediately(number):
    output = io.StringIO()
    before = signal.getsignal(number)
    with StopRequest(rich.console.Console(file=output), after="this step") as request:
        assert not request()
        signal.raise_signal(number)
        assert request()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert output.getvalue() == "stopping after this step; interrupt again to stop immediately\n"
    assert signal.getsignal(number) is before


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_program_ends_says_nothing(number, handlers):
    with pytest.raises(SystemExit), StopRequest(rich.console.Console(file=io.StringIO()), after="this step"):
        signal.raise_signal(number)
        sys.exit(130)
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_is_one_message_and_status_130(number, capsys, handlers):
    with pytest.raises(SystemExit) as end, interruptible("run it again"):
        signal.raise_signal(number)
    assert end.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; run it again\n"
    assert signal.getsignal(number) is signal.SIG_DFL
