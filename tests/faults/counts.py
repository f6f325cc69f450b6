"""What the fault tests count, summed over the processes that run tests, and printed at the end."""

import collections
import random

import pytest

counts = collections.Counter()


def pytest_addoption(parser):
    parser.addoption("--faults-scale", type=float, default=0.1, help="of tests/faults: 1 for the full counts")
    parser.addoption("--faults-seed", default="1", help="of tests/faults: a word, or `random`; printed at the end")


def pytest_configure(config):
    # Before processes are started for the tests: all of them draw from one seed.
    if config.option.faults_seed == "random":
        config.option.faults_seed = str(random.SystemRandom().randrange(10**6))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist
        session.config.workeroutput["faults"] = dict(counts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    del error  # pytest-xdist reports it
    counts.update(getattr(node, "workeroutput", {}).get("faults", {}))


def pytest_terminal_summary(terminalreporter, config):
    found = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    terminalreporter.write_line(
        f"faults: seed {config.option.faults_seed}, scale {config.option.faults_scale:g}; {found or 'none counted'}"
    )
