"""`lit_precompute.embed` with progress: in a notebook, of which only the kernel's part is imitated, and elsewhere."""

import builtins
import dataclasses
import sys
import types

import pytest

import lit_precompute as lit
from tests.pipelines.embed.making import write_source
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def options(tmp_path):
    register_tiny_tower()
    return lit.EmbedOptions(
        source=lit.SourceSpec(str(write_source(tmp_path / "source", 12, bad=False))),
        tower=lit.ImageTowerOptions(name=NAME, weights=write_weights(tmp_path / "weights.npz")),
        output=str(tmp_path / "out"),
        batch_size=4,
        decoding=lit.DecodingOptions(decode_in="threads", decode_workers=2),
    )


class ZMQInteractiveShell:
    """What a notebook's kernel calls its shell."""

    config = {"IPKernelApp": {}}  # noqa: RUF012 -- as IPython's
    execution_count = 1


@pytest.fixture
def displayed(monkeypatch):
    """Makes this process a notebook's kernel; returns what is displayed, each thing with its latest content."""
    found = []

    class Handle:
        def __init__(self, content):
            found.append(content)
            self._place = len(found) - 1

        def update(self, content, raw):
            assert raw
            found[self._place] = content

    def display(content, *, raw=False, display_id=None, **_):
        handle = Handle(content)
        return handle if display_id else None

    module, package = types.ModuleType("IPython.display"), types.ModuleType("IPython")
    module.display, package.get_ipython = display, ZMQInteractiveShell  # Beam asks, too, and wants pandas then
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    return found


def _bars(displayed):
    return [content for content in displayed if isinstance(content, dict) and "<progress" in content["text/html"]]


def test_in_a_notebook_a_bar_shows_how_far_it_is(options, displayed):
    told = []
    assert lit.embed(options, report=told.append).num_rows == 12
    (bar,) = _bars(displayed)
    assert 'value="12" max="12"' in bar["text/html"]
    assert bar["text/plain"].startswith("12/12 rows")
    assert told[-1].num_done == 12


def test_in_a_notebook_it_can_be_silent(options, displayed):
    assert lit.embed(options, progress=False).num_rows == 12
    assert displayed == []


def test_elsewhere_progress_is_shown_if_asked_for(options, capsys):
    assert lit.embed(options).num_rows == 12
    assert capsys.readouterr().out == ""
    again = dataclasses.replace(options, output=f"{options.output}-2")
    assert lit.embed(again, progress=True).num_rows == 12
    said = capsys.readouterr().out
    assert f"{NAME}: 12 rows of " in said and "12/12 rows" in said


def test_an_interrupted_cell_stops_the_job_and_the_next_call_resumes_it(options):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lit.embed(options, report=interrupt)
    assert lit.embed(options).num_rows == 12


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--runner=FnApiRunner", "--bundel_size=1"],
            "unknown options --bundel_size=1: neither lit-embed nor Apache Beam",
        ),
        (["--direct_num_workers=two"], "--direct_num_workers: invalid int value: 'two'"),
    ],
)
def test_flags_that_beam_would_overlook_are_refused(options, flags, message):
    with pytest.raises(ValueError, match=message):
        lit.embed(options, beam_flags=flags)
    with pytest.raises(TypeError, match="beam_flags must be a list"):
        lit.embed(options, beam_flags=flags[0])
