# make demo and make test need Python 3.11 (or 3.12, 3.13 with glibc 2.39), its headers, and g++.
PYTHON ?= $(firstword $(shell for name in python3.11 python3.12 python3.13; do command -v $$name; done) python3)
VENV := .venv
BIN := $(VENV)/bin
# The tests on real pictures need a folder with VOCdevkit and checkpoints.
export DEEPLAB_TEST_DATA ?=
WITHOUT_DATA := $(if $(DEEPLAB_TEST_DATA),,and not real_data)
# Two processes: half of the time goes to imports, which use one core. A file's tests stay together.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test test-fast test-more lint lock setup clean

demo: setup  ## sets up everything, then runs the pipeline on the embedded data
	$(BIN)/python local_runner.py

test: setup  ## sets up everything, then passes all tests, end-to-end runs included
	$(PYTEST) -m "not needs_more $(WITHOUT_DATA)"

test-more: setup  ## the tests that need what nothing here installs: node, go, registries' schemas, apt-get
	$(BIN)/python -m pytest -m needs_more

test-fast: setup  ## quick unit tests only
	$(PYTEST) -m "not slow and not real_data and not needs_more"

lint: setup
	$(BIN)/ruff check --no-cache . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock
	@command -v g++ >/dev/null || { echo "expected g++ (a dependency is compiled); got none; to fix: apt-get install g++ python3-dev"; exit 2; }
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" || { echo "expected Python 3.11 to 3.13; got $$($(PYTHON) --version); to fix: make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check "$$(sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python requirements.lock
	touch $@

lock:  ## writes requirements.lock and that of the GPU image anew; needs uv on the path
	uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  -c constraints.in requirements.in -o requirements.lock
	uv pip compile -q --python-version 3.11 --python-platform linux --generate-hashes \
	  -c requirements.lock deploy/images/gpu.in -o deploy/images/gpu.lock

clean:
	rm -rf $(VENV) output data
