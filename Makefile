# Two commands need nothing but Python >= 3.11 with pip, and make: `make demo` and `make test`.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys, venv, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# What is installed depends on these files and on where the checkout lies, and on nothing else.
KEY := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | cut -d ' ' -f 1)
RUNNING := .venv/.installed-$(KEY)
TESTING := .venv/.installed-test-$(KEY)
MEASURING := .venv/.installed-bench-$(KEY)
# Measured on two cores: compiling every package takes 38 s and its own first import hardly any, an old pip takes 13 s
# more than a new one, and a build environment of its own 4 s more than the hatchling that is here already.
QUIET := PIP_DISABLE_PIP_VERSION_CHECK=1
INSTALL := install --quiet --no-compile --prefer-binary -c constraints.txt
PIP := $(QUIET) $(BIN)/python -m pip $(INSTALL) --no-build-isolation
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest

.PHONY: help setup demo test lint soak bench
help:
	@echo "make demo            train, judge and publish a tiny model on this machine (about twelve minutes)"
	@echo "make test            run the tests"
	@echo "make lint            ruff, mypy and the import layers"
	@echo "make soak SEED=n     run what takes minutes: kills, faults, simulations (AREA=train for a part)"
	@echo "make bench           measure"
	@echo "make setup           install into .venv, which the others do by themselves"

setup: $(TESTING)

demo: $(RUNNING)
	@$(BIN)/samosa phase-a -r tiny

test: $(TESTING)
	@$(PYTEST) -q -n auto --maxprocesses=4

lint: $(TESTING)
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports

soak: $(MEASURING)
	@SAMOSA_SEED=$(SEED) $(PYTEST) -m soak $(addprefix tests/,$(AREA))

bench: $(MEASURING)
	@$(BIN)/python -m benchmarks

$(RUNNING): | .venv/bin/pip
	@echo "setup: installing samosa into .venv (about a minute)" >&2
	@$(PIP) -e . && touch $@

$(TESTING): | .venv/bin/pip
	@echo "setup: installing samosa and what its tests need into .venv (about a minute)" >&2
	@$(PIP) -e '.[test]' && touch $@ $(RUNNING)

$(MEASURING): $(TESTING)
	@echo "setup: installing what the peers need that samosa is measured against (about a minute)" >&2
	@$(PIP) -e '.[test,bench]' && touch $@

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer with pip was found" >&2; \
		echo "hint: install one, or name it: make PYTHON=/path/to/python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -m venv --without-pip .venv
	@$(QUIET) $(PYTHON) -m pip --python .venv/bin/python $(INSTALL) pip hatchling
