# Every command a person needs. CI runs `make test`, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)
BIN := .venv/bin
STAMP := .venv/.installed
MEMBERS := taps/tap-common taps/tap-shopify target-lake-parquet

# In many containers nothing may write bytecode: then each command would compile its libraries anew, and take three times as
# long to start. Setup compiles what the commands need; what tests need on top is written when it is first used.
unexport PYTHONDONTWRITEBYTECODE
SKIPPED := /(tests?|pip|setuptools|mypyc?|pandas|moto|faker|hypothesis|botocore|numpy)/

.PHONY: help setup demo test test-all crash-test check format bench constraints clean

help: ## List the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## Install everything into .venv (uv comes from PyPI)

$(STAMP): constraints.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found on PATH: install it, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; exit 2; }
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" || $(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt $(MEMBERS:%=-e %) --group dev
	@$(BIN)/python -m compileall -qq -j 0 -x '$(SKIPPED)' .venv/lib taps target-lake-parquet || true
	@touch $@

demo: setup ## A Shopify server on loopback, two runs through Meltano, the rows read back
	@$(BIN)/python scripts/demo.py

test: setup ## The test suite, as CI runs it
	@$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not slow"

test-all: setup ## The suite with the slow tests
	@$(BIN)/python -m pytest -n 3 --dist loadgroup

crash-test: setup ## Crashes, faults, power cuts and crowds at length, figures to docs/reliability.md (ARGS="--every 6": fewer)
	@$(BIN)/python -m tests.crash --page docs/reliability.md $(ARGS)
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m slow tests/stores

check: setup ## Lint, format, types, and the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Rewrite what the formatter and the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## Speed and memory, as ratios measured in one run (ARGS="--scale 0.1 --no-peers")
	@$(BIN)/python -m benchmarks.run $(ARGS)

constraints: setup ## Resolve anew and rewrite constraints.txt
	@$(BIN)/python scripts/constraints.py

clean: ## Remove everything that was built (your data stays: storage/, and the bookmarks in .meltano/)
	@rm -rf .venv .meltano/*/ .demo .iceberg .spark .azurite .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
