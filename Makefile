# make search: sets up and runs a real search; make test: sets up and runs all tests.

PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$candidate && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: search test team check format bench requirements clean

search: $(READY)
	$(BIN)/python -m search.run digits $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

# What a team's server needs besides: PostgreSQL's driver, S3, passwords, and moto for the tests of them.
team: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-team.txt -c requirements.txt

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m benchmarks.throughput $(ARGS)
	$(BIN)/python -m benchmarks.live_view
	$(BIN)/python -m benchmarks.epoch
	$(BIN)/python -m benchmarks.overhead

$(READY): requirements.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 to 3.13 is needed; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Resolves pyproject.toml anew for every supported Python and platform (needs uv).
requirements:
	uv pip compile --universal --python-version 3.11 --group dev --no-annotate --no-header pyproject.toml \
		| grep -v -E "^(nvidia-|cuda-|triton)|win32'$$" > requirements.part
	{ sed -n '/^#/p' requirements.txt; cat requirements.part; } > requirements.new
	mv requirements.new requirements.txt; rm requirements.part
	uv pip compile --universal --python-version 3.11 --extra team --group dev --group team --constraint requirements.txt \
		--no-annotate --no-header pyproject.toml | grep -v -x -F -f requirements.txt \
		| grep -v -E "^(nvidia-|cuda-|triton)|win32'$$" > requirements.part
	{ sed -n '/^#/p' requirements-team.txt; cat requirements.part; } > requirements.new
	mv requirements.new requirements-team.txt; rm requirements.part

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
