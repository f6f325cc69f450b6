# Every target sets up the environment it needs first; nothing has to be installed by hand.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help environment demo test test-fast test-slow format lint types oracles bench docs lock clean

help:
	@echo "make demo     embed, tune and evaluate on real images; about two minutes after set-up"
	@echo "make test     run the tests          (test-fast: without the slow ones)"
	@echo "make format   format and mend        (lint, types: check)"
	@echo "make oracles  compute the reference outputs afresh with torch and transformers, and compare"
	@echo "make bench    measure against peers and floors"
	@echo "make docs     build the documentation into build/site"

environment:
	@$(PYTHON) requirements/make_environment.py .venv requirements/lock.txt --install-project

demo: environment
	@$(BIN)/python -m demo

test: environment
	$(BIN)/python -m pytest

test-fast: environment
	$(BIN)/python -m pytest -m "not slow"

test-slow: environment
	$(BIN)/python -m pytest -m slow

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

# torch and transformers stand in an environment of their own: the tests never need them.
oracles:
	@$(PYTHON) requirements/make_environment.py .venv-oracles requirements/oracles.txt
	.venv-oracles/bin/python -m tests.oracles

# The peers that are measured beside ours stand in environments of their own, too.
bench: environment
	@$(PYTHON) requirements/make_environment.py .venv-oracles requirements/oracles.txt
	@$(PYTHON) requirements/make_environment.py .venv-bench requirements/bench.txt
	$(BIN)/python -m benchmarks

docs: environment
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

# The locked versions, for every Python and system at once; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --no-header setup.py --extra dev -o requirements/lock.txt

clean:
	rm -rf .venv .venv-oracles .venv-bench build .demo
