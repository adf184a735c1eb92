# One virtual environment, made once and kept until pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Sources are compiled once, not by every process that tests start, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# Tests in as many processes as there are cores; each holds torch, so no more than eight.
PARALLEL ?= -n auto --maxprocesses 8 --dist worksteal
PYTEST := $(BIN)/python -m pytest $(PARALLEL)
# The user's own folder of sounds, a query in it, and where the demonstration writes.
SOUNDS ?=
QUERY  ?=
DEMO   ?= demo

# The browser that looks at the documentation site, if there is one.
CHROMIUM ?= $(shell command -v chromium || command -v google-chrome)

.PHONY: demo test test-slow test-long test-arrays test-all test-fast-and-slow test-lowest check check-all web-check lint bench container page wheel size audit docs notebooks clean

demo: $(VENV)/.installed
	$(BIN)/soundloom demo --out "$(DEMO)" $(if $(SOUNDS),--sounds "$(SOUNDS)") $(if $(QUERY),--query "$(QUERY)")

# What a change should pass at once: checks, and every test that is not marked slow.
test: check
	$(PYTEST) -m "not slow"

# The others: browser, generated requests, papers' tables in miniature, long sweeps.
test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m "slow and not long"

# Whole recipes, kills, papers in miniature, exports and saved models of full size: every night and before a release.
test-long: $(VENV)/.installed-dev
	$(PYTEST) -m long

# The fast tests with shapes and types of arrays checked at every call.
test-arrays: $(VENV)/.installed-dev
	SOUNDLOOM_CHECK_ARRAYS=1 $(PYTEST) -m "not slow"

# Fast and slow ones in one run, and beside them all checks, which use what tests leave idle while they wait.
test-all: $(VENV)/.installed-dev
	$(MAKE) --jobs=2 check-all test-fast-and-slow

test-fast-and-slow: $(VENV)/.installed-dev
	$(PYTEST) -m "not long"

check-all: check
	$(if $(shell command -v npm),$(MAKE) web-check,@echo "no npm here: the page's sources were not checked" >&2)

# The lowest versions that pyproject.toml allows, torch apart, in an environment of their own.
LOWEST := .venv-lowest
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) .ci/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST)/constraints.txt \
		-e '.[eval,train,serve,hf,onnx,tensorflow]' pytest pytest-timeout pytest-xdist beartype hypothesis httpx playwright \
		axe-playwright-python schemathesis
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -m "not slow"

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The page that `soundloom serve` shows, out of its sources in web/: needs Node. What it makes is kept in git.
page:
	npm --prefix web ci
	npm --prefix web run build

# Types of the API, lint and unit tests of the page's sources, and the page built again: it must be the one that ships.
web-check: $(VENV)/.installed-dev
	$(BIN)/python web/build/api_types.py --check
	npm --prefix web ci --no-audit --no-fund
	npm --prefix web run lint
	npm --prefix web test
	npm --prefix web run build -- --outDir ../build/page
	diff -r build/page src/soundloom/server/page

# The benchmarks that fit in half an hour, compared with the last kept results of this machine; fails on a regression.
BENCH_HISTORY ?= bench-history
bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.history --folder "$(BENCH_HISTORY)"

# The commands of the Containerfile in a fresh environment, and a server that is asked and stopped.
container: wheel
	$(BIN)/python .ci/container.py

# The documentation site in build/site: built strictly, links and names checked, looked at in a browser.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	$(BIN)/python .ci/check_site.py build/site $(if $(CHROMIUM),--browser)

# Every notebook, executed; what they show is then in build/notebooks.
notebooks: $(VENV)/.installed-docs
	$(BIN)/python .ci/run_notebooks.py

# The wheel and the source archive in dist/, built twice and compared.
wheel: $(VENV)/.installed-dev
	$(BIN)/python .ci/wheel.py dist

# What an installation weighs, and what each extra adds.
size: $(VENV)/.installed-dev
	$(BIN)/python .ci/installed_size.py

# Known weaknesses of the pinned versions; asks the package index.
audit: $(VENV)/.installed-dev
	$(BIN)/python -m pip_audit --strict --requirement constraints.txt --no-deps --disable-pip

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(VENV)/.installed-dev
	$(PIP) -e '.[docs]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP) -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist
