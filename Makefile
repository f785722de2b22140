# make setup   create .venv with pyronym and all that its development needs (quick when it is there)
# make serve   run a name server that keeps its names in names.sqlite; HOST=, PORT=, STORAGE= and ARGS= change that
# make test    everything that must hold: lint, types, links, and all tests, against stock Pyro4 and Pyro5 too
# make torture   hostile clients of all kinds against this server and the stock ones; SECONDS= for each (3)
# make soak      a long time under mixed load, with kills; MINUTES= (60)
# make torture-storage   kill programs that write, and cut their power; ROUNDS= (100 of each) and SEED= change that
# make chaos     nodes and members of etcd killed, frozen and cut off under load; MINUTES= (15) and SEED= change that.
#                Needs root and iproute2 for hosts of their own; ETCD=/usr/bin/etcd takes another etcd than PyPI's
# make lint    ruff: rules and format
# make types   mypy, strict
# make dist    build wheel, sdist and manual pages (build/man), and try the wheel in empty environments
# make sbom    list what an installation with all extras consists of, in dist/pyronym.cdx.json (CycloneDX)
# make pin     write the versions that are installed for development into constraints.txt
# make newcomer   follow the README and the tutorial, in an empty folder with an empty environment
# make audit   look for known weaknesses in what is installed for pyronym (asks PyPI)
# make links   check that the links in the documentation lead somewhere
# make docs    build the documentation as a site, in build/site; warnings are errors
# make pictures  record commands on a terminal, for the documentation (docs/images)
# make bench   measure everything, beside stock Pyro and others; writes docs/performance.md (20 minutes, a quiet machine)
# make bench-quick   the headline figures, compared with the results in the checkout (half a minute)
# make bench-cluster   nodes on one etcd: registrations, lookups, delays, a start; writes docs/scaling.md (5 minutes)
# make profile       where the time of a lookup goes
# make fuzz-server   mutated messages against a live server; COUNT=, and FUZZ= for options as --server pyro4
# make fuzz          coverage-guided fuzzing of the readers and of whole sessions; FUZZ_SECONDS= for each (60)
# make fuzz-corpus   keep the fewest inputs of make fuzz that reach as much in tests/fuzz/corpus, for all to try again
# make messages      make Python of the messages of etcd that are used (messages.proto)
# make clean   remove all that make created (not names.sqlite)
#
# Needs Python 3.11 or later; another interpreter than python3: make setup PYTHON=python3.12
# The very versions that this was developed with (constraints.txt): make setup PINNED=1

PYTHON ?= python3
HOST ?= localhost
PORT ?= 9090
STORAGE ?= sql:names.sqlite
ARGS ?=
TESTS ?=
BENCH ?=
ROUNDS ?= 100
SECONDS ?= 3
MINUTES ?=
SEED ?=
COUNT ?= 100000
FUZZ ?=
FUZZ_SECONDS ?= 60
PINNED ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(PINNED),--constraint constraints.txt)
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready
FUZZ_READY := .venv/.fuzz-ready
DOCS_READY := .venv/.docs-ready
DIST_READY := .venv/.dist-ready

.PHONY: help setup serve test torture soak torture-storage chaos lint types audit links docs pictures dist sbom pin newcomer \
	bench bench-quick bench-cluster profile fuzz fuzz-server fuzz-corpus messages chromium clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "pyronym needs Python 3.11 or later: make setup PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(INSTALL) --editable . --group dev
	@touch $(READY)

serve: setup
	$(BIN)/pyronym serve -n $(HOST) -p $(PORT) -s $(STORAGE) $(ARGS)

test: lint types links chromium
	$(BIN)/python tests/stock.py
	$(BIN)/pytest -n 4 $(TESTS)

# The dashboard is tried in it. Where it cannot be installed, those tests are skipped.
chromium:
	@command -v chromium > /dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && apt-get update --quiet=2 \
		&& DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends chromium fonts-dejavu-core; \
	} || echo "There is no chromium: the tests of the dashboard in a browser will be skipped."

torture: setup
	$(BIN)/python tests/stock.py
	PYTHONPATH=tests $(BIN)/python -m torture.clients --seconds $(SECONDS)

soak: $(BENCH_READY)
	PYTHONPATH=tests $(BIN)/python -m torture.soak --minutes $(or $(MINUTES),60) --plot docs/images/soak.svg

torture-storage: setup
	PYTHONPATH=tests:tests/storage $(BIN)/python -m torture.storage --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

chaos: setup
	$(BIN)/python tests/stock.py
	PYTHONPATH=tests $(BIN)/python -m chaos --minutes $(or $(MINUTES),15) $(if $(SEED),--seed $(SEED))

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

audit: setup
	$(INSTALL) --group audit
	$(BIN)/pip-audit --local --skip-editable --strict

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks $(BENCH)

bench-quick: $(BENCH_READY)
	$(BIN)/python -m benchmarks.quick

bench-cluster: $(BENCH_READY)
	$(BIN)/python -m benchmarks.cluster

profile: $(BENCH_READY)
	$(BIN)/python -m benchmarks.profiling

$(BENCH_READY): $(READY)
	$(INSTALL) --group bench
	$(BIN)/python tests/stock.py
	@touch $(BENCH_READY)

fuzz-server: setup
	PYTHONPATH=tests $(BIN)/python -m fuzz --count $(COUNT) $(FUZZ)

fuzz: $(FUZZ_READY)
	PYTHONPATH=tests FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m fuzz.coverage

fuzz-corpus: $(FUZZ_READY)
	PYTHONPATH=tests $(BIN)/python -m fuzz.coverage --keep

$(FUZZ_READY): $(READY)
	$(INSTALL) --group fuzz
	@touch $(FUZZ_READY)

# An old release: what it makes runs with all later ones of protobuf.
messages:
	$(PYTHON) -m venv build/messages
	build/messages/bin/python -m pip install --quiet --disable-pip-version-check "grpcio-tools==1.70.0" "setuptools<80"
	cd src && ../build/messages/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. \
		pyronym/storage/etcd/messages.proto

pictures: setup
	$(BIN)/python docs/draw_pictures.py

links: setup
	$(BIN)/python docs/check_links.py

docs: $(DOCS_READY)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/site
	@echo "open build/site/index.html"

$(DOCS_READY): $(READY)
	$(INSTALL) --group docs
	@touch $(DOCS_READY)

dist: $(DIST_READY)
	rm -rf dist build/man
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python docs/write_man_pages.py build/man
	$(BIN)/pytest tests/check_wheel.py

sbom: $(DIST_READY)
	rm -rf build/sbom
	$(PYTHON) -m venv --without-pip build/sbom
	$(BIN)/python -m pip --python build/sbom install --quiet --disable-pip-version-check \
		".[certs,etcd,fast,web]"
	mkdir -p dist
	$(BIN)/cyclonedx-py environment build/sbom --pyproject pyproject.toml --output-reproducible -o dist/pyronym.cdx.json

$(DIST_READY): $(READY)
	$(INSTALL) --group dist
	@touch $(DIST_READY)

pin: $(DOCS_READY) $(DIST_READY)
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

newcomer: setup
	PYTHONPATH=tests $(BIN)/python tests/newcomer.py

clean:
	rm -rf .venv .stock .fuzz results .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist benchmarks/build
	find src tests examples benchmarks docs -name __pycache__ -prune -exec rm -rf {} +
