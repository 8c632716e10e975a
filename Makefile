# Two commands for a newcomer: `make demo` and `make test`. Everything else is for developers.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Where the system has no libgomp, LightGBM borrows scikit-learn's (mlagent/sandbox/openmp.py).
OPENMP := LD_LIBRARY_PATH="$(CURDIR)/$(VENV)/openmp$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"

.PHONY: demo test check fix docs wheel soak clean
.DEFAULT_GOAL := demo

$(BIN)/mlagent: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlagent needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -c 'from pathlib import Path; from mlagent.sandbox.openmp import library_folder; library_folder(Path("$(VENV)"))'
	@touch $@

demo: $(BIN)/mlagent   ## make a churn table, plan, train, judge, report
	$(BIN)/mlagent demo --folder demo --budget 60s

test: $(BIN)/mlagent   ## every test; Docker and dataset tests skip with a reason when absent
	$(OPENMP) $(BIN)/python -m pytest

check: $(BIN)/mlagent  ## style, types, floors, schema drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/schemas.py --check
	$(BIN)/python tools/docs.py --check
	$(BIN)/python tools/guide.py --check
	$(BIN)/python tools/plugin.py --check

fix: $(BIN)/mlagent    ## mend what a machine can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python tools/schemas.py
	$(BIN)/python tools/docs.py
	$(BIN)/python tools/guide.py
	$(BIN)/python tools/plugin.py

docs: $(BIN)/mlagent   ## bring generated parts of the docs up to date
	$(BIN)/python tools/docs.py
	$(BIN)/python tools/guide.py

wheel: $(BIN)/mlagent  ## build the wheel and try it from an empty folder in a clean venv
	$(BIN)/python tools/wheel.py

soak: $(BIN)/mlagent   ## the long tests
	$(OPENMP) $(BIN)/python -m pytest -m soak

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache
