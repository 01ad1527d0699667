# Culet: everything from a bare clone with Python 3.11 and make.
#   make quickstart   install, then train, distil, tune and question a small model
#   make test         install, then lint, type-check and test
#   make parity       install torch and transformers too, then compare with them live

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: install quickstart test parity mutants docs clean

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(PIP) install -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.parity: $(VENV)/.test
	$(PIP) install -c constraints.txt -e '.[test,parity]'
	touch $@

$(VENV)/.docs: $(VENV)/.test
	$(PIP) install -c constraints.txt -e '.[test,docs]'
	touch $@

install: $(VENV)/.core

quickstart: $(VENV)/.core
	$(BIN)/culet quickstart

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 -m 'not parity' tests

parity: $(VENV)/.parity
	XLA_FLAGS= JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -m parity tests

mutants: $(VENV)/.test
	$(BIN)/python -m tests.mutation

docs: $(VENV)/.docs
	$(BIN)/python docs/reference.py

clean:
	rm -rf $(VENV) build dist
