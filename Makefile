# `make demo` and `make test` set up everything they need in .venv; nothing else on the machine changes.
#
#   PYTHON=python3.12   the interpreter to build .venv from (default: the first 3.10 to 3.13 found)
#   TORCH_INDEX=<url>   package index to take torch from, for example PyTorch's index of builds
#                       without CUDA, a tenth of the download (default: whatever pip is set up with)
#   ARGS='-k store -x'  more options for pytest, or for one benchmark
#   WORKERS=4           so many tests at the same time (default: 2; 0: one after the other)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/constraints.txt
TORCH := torch==2.13.0
PYTHON ?=
TORCH_INDEX ?=
ARGS ?=
WORKERS ?= 2
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))

.PHONY: help demo test venv lint format types wheel-check bench clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@echo "targets: demo test venv lint format types wheel-check bench clean"

# The main job: a long history, a killed process, a restored memory, answered questions.
demo: venv
	$(BIN)/hsa-memory demo

# PYTHONSAFEPATH keeps the folders `model` and `kernels` off sys.path (Python 3.11 and newer).
test: venv
	PYTHONSAFEPATH=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

venv: $(VENV)/.installed

# The interpreter is asked, not guessed from its name: it must be of a supported version, and able to
# make a virtual environment with pip in it (Debian ships those parts separately).
$(VENV)/.created:
	@usable='import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))'; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10); do \
	    if "$$python" -c "$$usable" 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo "No usable Python 3.10 to 3.13 found (tried: $(or $(PYTHON),python3 python3.13 ... python3.10))." >&2; \
	    echo "Name one with 'make $(or $(MAKECMDGOALS),venv) PYTHON=/path/to/python3.12'; on Debian or Ubuntu it also needs the python3-venv package." >&2; \
	    exit 1; \
	fi; \
	echo "creating $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV)
	@touch $@

# torch comes alone and first: an index of CPU builds has no recent versions of anything else.
$(VENV)/.torch: $(VENV)/.created $(PINS)
	$(BIN)/python -m pip install --quiet -c $(PINS) pip setuptools
ifeq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --progress-bar off -c $(PINS) $(TORCH)
else
	$(BIN)/python -m pip install --progress-bar off --no-deps --index-url $(TORCH_INDEX) $(TORCH)
endif
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml $(PINS)
	$(BIN)/python -m pip install --progress-bar off -c $(PINS) --no-build-isolation -e '.[dev,plots]'
	@touch $@

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: venv
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The second pass looks for what Python 3.10's standard library does not have yet; numpy's stubs
# give arrays no buffer protocol there, which is what arg-type would complain about.
types: venv
	scripts/typecheck
	scripts/typecheck --python-version 3.10 --disable-error-code arg-type --no-warn-unused-ignores

wheel-check: venv
	$(BIN)/python scripts/wheelcheck.py

# Every figure of the README, one command each; a single one is `.venv/bin/python benchmarks/NAME.py`.
bench: venv
	@test -n "$(BENCHMARKS)" || { echo "benchmarks/ holds no benchmark" >&2; exit 1; }
	for benchmark in $(BENCHMARKS); do echo "== $$benchmark"; $(BIN)/python "$$benchmark" $(ARGS); done

clean:
	rm -rf $(VENV) .typecheck build dist *.egg-info
