# Everything a fresh clone needs is one word away: `make help` lists the words.
#
# Variables: PYTHON       the interpreter to build .venv with (3.11 to 3.13; found when not given)
#            TORCH_INDEX  a package index to take torch from, such as one with CPU builds (default: the usual index)
#            ARGS         words for segapp app, pytest or the benchmark, such as  make test ARGS=tests/core
#            WORKERS      how many processes share the tests

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv app demo test test-tensorflow fuzz lint docs screenshots bench clean

SUITED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	if $$p -c '$(SUITED)' 2>/dev/null; then echo $$p; exit; fi; done; echo python3)
endif
TORCH_INDEX ?=
ARGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OUT := segapp-out
ARTEFACTS := test-artefacts

TENSORFLOW := .venv-tensorflow/bin/python
TENSORFLOW_INSTALLED := .venv-tensorflow/.installed

REFERENCE_PYTHON ?= .venv-reference/bin/python
REFERENCE_INSTALLED := .venv-reference/.installed

help: ## List what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 26

venv: $(INSTALLED) ## Install segapp and its tools into .venv, every version pinned

# torch comes first and alone: its index may be another one, and it must not be replaced by a newer build afterwards
$(INSTALLED): pyproject.toml constraints.txt
	@.ci/check-python "$(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
		"$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@$(BIN)/python .ci/check_system.py libraries
	@touch $@

app: $(INSTALLED) ## Open the app on the simulated tissue (ARGS="--gem FILE --stain FILE" for your own data)
	$(BIN)/segapp app $(or $(ARGS),--sample tissue)

demo: $(INSTALLED) ## Segment the simulated tissue on the command line and compare the cells with the truth
	$(BIN)/segapp sample tissue --out $(OUT)/tissue
	$(BIN)/segapp run --gem $(OUT)/tissue/tissue.gem.gz --stain $(OUT)/tissue/stain.tif --preset stain+rna \
		--out $(OUT)/demo
	$(BIN)/segapp compare $(OUT)/tissue/truth_cells.tif $(OUT)/demo/labels.tif
	@echo "cells: $(OUT)/demo/cells.h5ad"

# What a page in a browser waits for is real time, so these tests have the machine for themselves. The others are shared
# by processes that compute on one thread each; with ARGS there is one process.
test: $(INSTALLED) ## Run every test, those in a real browser included
	@$(BIN)/python .ci/check_system.py browser
	@mkdir -p $(ARTEFACTS)
ifneq ($(ARGS),)
	$(BIN)/python -m pytest --junitxml=$(ARTEFACTS)/junit.xml $(ARGS)
else
	failed=0; \
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal \
		--ignore=tests/ui --junitxml=$(ARTEFACTS)/junit.xml || failed=1; \
	$(BIN)/python -m pytest tests/ui --junitxml=$(ARTEFACTS)/junit-browser.xml || failed=1; \
	exit $$failed
endif

test-tensorflow: $(TENSORFLOW_INSTALLED) ## Check StarDist models read in torch against TensorFlow, in .venv-tensorflow
	$(TENSORFLOW) -m pytest tests/extras $(ARGS)

$(TENSORFLOW_INSTALLED): pyproject.toml constraints.txt
	@.ci/check-python "$(PYTHON)"
	@test -x $(TENSORFLOW) || "$(PYTHON)" -m venv .venv-tensorflow
	$(TENSORFLOW) -m pip install --quiet --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
		"$$(grep '^torch==' constraints.txt)"
	$(TENSORFLOW) -m pip install --quiet --constraint constraints.txt --editable ".[tensorflow]" pytest pytest-timeout
	@touch $@

fuzz: $(INSTALLED) ## Throw thousands of hostile inputs at every public function (ARGS="score label" for some)
	@mkdir -p $(ARTEFACTS)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --out $(ARTEFACTS)/fuzz.txt $(ARGS)

lint: $(INSTALLED) ## Style, types, the floors between modules, and notebooks without outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb

docs: $(INSTALLED) ## Draw the pictures and build the documentation into docs/_build/html; a warning is an error
	cd docs && ../$(BIN)/python -m pictures
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

screenshots: $(INSTALLED) ## Take the pictures of the app for README and documentation in a real browser (ARGS="--check DIR")
	@$(BIN)/python .ci/check_system.py browser
	$(BIN)/python -m docs.screenshots $(ARGS)

bench: $(INSTALLED) $(if $(filter .venv-reference/%,$(REFERENCE_PYTHON)),$(REFERENCE_INSTALLED)) ## Measure every stage beside the public implementation
	$(BIN)/python benchmarks/run.py --reference $(REFERENCE_PYTHON) $(ARGS)

$(REFERENCE_INSTALLED): benchmarks/reference-requirements.txt
	@.ci/check-python "$(PYTHON)"
	@command -v c++ >/dev/null || { echo "the reference is compiled here and needs a C++ compiler, and none was found:" \
		"run 'apt-get install g++'" >&2; exit 1; }
	@test -x .venv-reference/bin/python || "$(PYTHON)" -m venv .venv-reference
	.venv-reference/bin/python -m pip install --quiet --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
		"$$(grep '^torch==' $<)"
	.venv-reference/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

clean: ## Remove results and caches; .venv stays
	rm -rf $(OUT) $(ARTEFACTS) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find segapp tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
