# make demo   set up, run the quickstart sweep, write its report
# make test   set up, run the tests (network or no network)
# make check  format, lint, types
# make bench  ratios against what a user would do instead
# make chaos  kill drivers, workers, nodes and heads, fill disks and memory, and count what is lost

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The exact spelling torch==X lets pip take a CPU build where one is configured. For another build: make TORCH="torch==2.12.0".
TORCH  ?= $(shell sed -n '/^torch==/p' constraints.txt)

.PHONY: setup demo test check bench chaos hooks
setup: $(VENV)/.runtime

$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "unilaw needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.testing: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/unilaw run quickstart || test $$? -eq 1  # 1: some trials failed, which the report shows
	$(BIN)/unilaw report runs/quickstart
	@echo "open runs/quickstart/_report.html in a browser"

test: $(VENV)/.testing
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.testing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

$(VENV)/.benching: $(VENV)/.testing
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	@touch $@

bench: $(VENV)/.benching
	$(BIN)/python -m tests.benchmarks.throughput
	$(BIN)/python -m tests.benchmarks.planning
	$(BIN)/python -m tests.benchmarks.attack_strength
	$(BIN)/python -m tests.benchmarks.robust_accuracy
	$(BIN)/python -m tests.benchmarks.language_throughput
	$(BIN)/python -m tests.benchmarks.scale

chaos: $(VENV)/.testing
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos.three_nodes

hooks: $(VENV)/.testing
	$(BIN)/prek install
