# make demo   set up, run the quickstart sweep, write its report
# make test   set up, run the tests; needs no network beyond the package index
# make fast   the tests that start neither Ray nor a `unilaw` process: under a minute
# make soak   the tests that take minutes: jobs, nodes and heads lost, several processes a trial
# make gpu    the tests that need a CUDA GPU, and a table of what it does
# make check  format, lint, types
# make bench  ratios against what a user would do instead
# make oldest the fast tests, a sweep inline and on Ray, and a report in a browser, with the lowest versions that
#             pyproject.toml allows
# make newest the same with the newest versions of everything but torch
# make chaos  kill drivers, workers, nodes and heads, fill disks and memory, and count what is lost

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The exact spelling torch==X lets pip take a CPU build where one is configured. For another build: make TORCH="torch==2.12.0".
TORCH  ?= $(shell sed -n '/^torch==/p' constraints.txt)

# Without its compiled files, every process would compile the project anew: the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test fast soak gpu check bench oldest newest chaos hooks
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
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not soak"

soak: $(VENV)/.testing
	$(BIN)/python -m pytest -m soak

gpu: $(VENV)/.testing
	$(BIN)/python -m pytest -m gpu -rs
	$(BIN)/python -m tests.gpu

QUICK := not ray and not slow and not soak and not gpu
fast: $(VENV)/.testing
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(QUICK)"

check: $(VENV)/.testing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

$(VENV)/.benching: $(VENV)/.testing
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	@touch $@

bench: $(VENV)/.benching
	$(BIN)/python -m tests.benchmarks.throughput
	$(BIN)/python -m tests.benchmarks.stacking
	$(BIN)/python -m tests.benchmarks.planning
	$(BIN)/python -m tests.benchmarks.attack_strength
	$(BIN)/python -m tests.benchmarks.robust_accuracy
	$(BIN)/python -m tests.benchmarks.language_throughput
	$(BIN)/python -m tests.benchmarks.scale
	$(BIN)/python -m tests.benchmarks.report

# Each in an environment of its own, made anew. torch comes first and stays, so that a CPU build is kept.
oldest: RESOLVE := --resolution lowest-direct
newest: RESOLVE := --upgrade
oldest newest: $(VENV)/.testing
	rm -rf .venv-$@
	$(PYTHON) -m venv .venv-$@
	.venv-$@/bin/python -m pip install --quiet $(TORCH)
	$(BIN)/uv pip install --quiet --python .venv-$@/bin/python $(RESOLVE) --editable '.[test]' $(TORCH)
	.venv-$@/bin/python -m pytest -n 2 --dist loadfile -m "$(QUICK)"
	.venv-$@/bin/python -m pytest tests/test_smoke.py tests/reports/test_browser.py

chaos: $(VENV)/.testing
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos.three_nodes

hooks: $(VENV)/.testing
	$(BIN)/prek install
