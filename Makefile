# Every target first sets up the environment it needs; nothing has to be installed by hand.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help environment demo test test-fast test-slow format lint types servers readers dataflow containers oracles engines faults bench docs lock clean

help:
	@echo "make demo     embed, tune and evaluate on real images; about two minutes after set-up; TEXT=minilm: from a pre-trained text tower"
	@echo "make test     run the tests           (test-fast: without the slow ones)"
	@echo "make format   format and fix the code (lint, types: only check)"
	@echo "make containers  run what the workers' image for CPUs runs, without Docker"
	@echo "make oracles  recompute the reference outputs with torch and transformers, and compare"
	@echo "make engines  run jobs on local clusters of Spark and Flink, and on Prism (needs Java 17, Maven and Go)"
	@echo "make faults   kill, pause and starve jobs in full counts; make test has a tenth (SEED=N repeats a run)"
	@echo "make bench    run the benchmarks against peers and floors"
	@echo "make docs     build the documentation into build/site"

environment:
	@$(PYTHON) requirements/make_environment.py .venv requirements/lock.txt --bare requirements/bare.txt --install-project

# TEXT=minilm starts the text tower from a pre-trained one.
TEXT ?= words
demo: environment
	@$(BIN)/python -m demo --text $(TEXT)

# The stores that tests write to have their own environment; the tests start and stop them.
servers:
	@$(PYTHON) requirements/make_environment.py .venv-servers requirements/servers.txt

# The programs that read exports have their own environment, too: the tests run them there.
readers:
	@$(PYTHON) requirements/make_environment.py .venv-readers requirements/readers.txt

# The tests of Dataflow need Beam's part of it, on top of what is installed anyway.
dataflow: environment
	@$(PYTHON) requirements/make_environment.py .venv-dataflow requirements/dataflow.txt --on .venv

# What containers/Dockerfile runs, without Docker; as root, with Go, for minutes.
containers: dataflow
	$(BIN)/python -m tests.containers cpu

# A process for each core; the tests of a file stay together, and the longest files are not the last ones.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: environment servers readers dataflow
	$(PYTEST)

test-fast: environment servers readers dataflow
	$(PYTEST) -m "not slow"

test-slow: environment servers readers dataflow
	$(PYTEST) -m slow

format: environment
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: environment
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: environment
	@rm -rf build/types && mkdir -p build/types/lit_precompute
	@for part in lit_precompute/* schemas towers precompute pipelines tune; do \
		ln -s "$(CURDIR)/$$part" build/types/lit_precompute/; done
	$(BIN)/basedpyright

# torch and transformers have their own environment: the tests never need them.
oracles:
	@$(PYTHON) requirements/make_environment.py .venv-oracles requirements/oracles.txt --bare requirements/bare.txt
	.venv-oracles/bin/python -m tests.oracles

# Spark and Flink have an environment of their own on top; Maven and Go fetch Beam's job servers once, into build/engines.
engines: environment
	@$(PYTHON) requirements/make_environment.py .venv-engines requirements/engines.txt --on .venv
	.venv-engines/bin/python -m pytest tests/engines

# With a seed that is drawn and printed; `make faults SEED=N` draws the same faults again.
SEED ?= random
faults: environment servers
	$(PYTEST) tests/faults --faults-scale 1 --faults-seed $(SEED)

# The peers that benchmarks compare with also have their own environments.
bench: environment servers
	@$(PYTHON) requirements/make_environment.py .venv-oracles requirements/oracles.txt --bare requirements/bare.txt
	@$(PYTHON) requirements/make_environment.py .venv-bench requirements/bench.txt --bare requirements/bench-bare.txt \
		--on .venv-oracles
	$(BIN)/python -m benchmarks

docs: environment
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

# Locks versions for every supported Python and system; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --no-header setup.py --extra dev -o requirements/lock.txt

clean:
	rm -rf .venv .venv-servers .venv-oracles .venv-bench .venv-dataflow .venv-readers .venv-engines build .demo
