# Needs Python 3.11 or newer (with venv) and make, and for the tests Chromium and PostgreSQL;
# everything else is installed into .venv.

PYTHON ?= python3
SEED ?= 0
RUNS ?= 16000
WORKERS ?= 2
DEVICE ?= cpu
CORPUS ?= corpus

PIP := .venv/bin/python -m pip install --disable-pip-version-check --quiet --quiet -c constraints.txt
CURVET := .venv/bin/curvet

.PHONY: help demo test model clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' Makefile

demo: .venv/.installed ## set up, then diagnose the runs of data/demo and draw them
	@$(CURVET) diagnose data/demo --plot out/demo.png
	@echo "Every run with its curves and verdict: out/demo.png"

test: .venv/.installed-dev ## set up, then run every check: lint, format, types, tests
	scripts/check

model: .venv/.installed ## rebuild models/default: simulate, then train on that and data/workshop
	$(CURVET) simulate --runs $(RUNS) --out $(CORPUS) --seed $(SEED) --device $(DEVICE) --workers $(WORKERS)
	$(CURVET) train --corpus $(CORPUS) --corpus data/workshop --out models/default --seed $(SEED) --workers $(WORKERS)

clean: ## remove what the other targets made, but no corpus and no model
	rm -rf .venv out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts -name __pycache__ -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "curvet needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

# torch goes first, so that pip can take a local CPU wheel of that version where there is one.
.venv/.installed: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@echo "Installing curvet into .venv: some minutes the first time"
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) -e '.[dev]'
	@touch $@
