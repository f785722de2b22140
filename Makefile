# make setup   create .venv with pyronym and all that its development needs (quick when it is there)
# make serve   run a name server that keeps its names in names.sqlite; HOST=, PORT=, STORAGE= and ARGS= change that
# make test    everything that must hold: lint, types, links, and all tests, against stock Pyro4 and Pyro5 too
# make lint    ruff: rules and format
# make types   mypy, strict
# make audit   look for known weaknesses in what is installed for pyronym (asks PyPI)
# make docs    check that the links in the documentation lead somewhere
# make bench   measure everything, beside stock Pyro and others; writes docs/performance.md (20 minutes, a quiet machine)
# make bench-quick   the headline figures, compared with the results in the checkout (half a minute)
# make profile       where the time of a lookup goes
# make clean   remove all that make created (not names.sqlite)
#
# Needs Python 3.11 or later; another interpreter than python3: make setup PYTHON=python3.12

PYTHON ?= python3
HOST ?= localhost
PORT ?= 9090
STORAGE ?= sql:names.sqlite
ARGS ?=
TESTS ?=
BENCH ?=

BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready

.PHONY: help setup serve test lint types audit docs bench bench-quick profile clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pyronym needs Python 3.11 or later: make setup PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $(READY)

serve: setup
	$(BIN)/pyronym serve -n $(HOST) -p $(PORT) -s $(STORAGE) $(ARGS)

test: lint types docs
	$(BIN)/python tests/stock.py
	$(BIN)/pytest -n 2 $(TESTS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

audit: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group audit
	$(BIN)/pip-audit --local --skip-editable

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks $(BENCH)

bench-quick: $(BENCH_READY)
	$(BIN)/python -m benchmarks.quick

profile: $(BENCH_READY)
	$(BIN)/python -m benchmarks.profiling

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	$(BIN)/python tests/stock.py
	@touch $(BENCH_READY)

docs: setup
	$(BIN)/python docs/check_links.py

clean:
	rm -rf .venv .stock .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist benchmarks/build
	find src tests examples benchmarks docs -name __pycache__ -prune -exec rm -rf {} +
