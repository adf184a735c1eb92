# One virtual environment, made once and kept until pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The user's own folder of sounds, a query in it, and where the demonstration writes.
SOUNDS ?=
QUERY  ?=
DEMO   ?= demo

.PHONY: demo test lint bench page clean

demo: $(VENV)/.installed
	$(BIN)/soundloom demo --out "$(DEMO)" $(if $(SOUNDS),--sounds "$(SOUNDS)") $(if $(QUERY),--query "$(QUERY)")

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The page that `soundloom serve` shows, out of its sources in web/: needs Node. What it makes is kept in git.
page:
	npm --prefix web ci
	npm --prefix web run build

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e '.[dev]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP) -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist
