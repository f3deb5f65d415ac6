# make search: sets up and runs a real search; make test: sets up and runs all tests.

PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	$$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$candidate && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: search test test-cluster soak team cluster check format bench requirements clean

search: $(READY)
	$(BIN)/python -m search.run digits $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# The cluster files against the schemata of their platforms; ray up, a search and ray down on machines made of
# namespaces (Linux, as root, with sshd and rsync).
test-cluster: cluster
	$(BIN)/python -m pytest -m "" tests/cluster $(ARGS)

# What takes minutes: nodes that come and go under a search, more ways to break or interrupt one.
soak: $(READY)
	$(BIN)/python -m pytest -m soak $(ARGS)

# What a team's server needs besides: PostgreSQL's driver, S3, passwords, and moto for the tests of them.
team: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-team.txt -c requirements.txt

# What starts a cluster and takes jobs, and what its nodes need: Ray's dashboard, and the clients of AWS and GCP.
cluster: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-cluster.txt -c requirements.txt

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

# Kills workers, nodes and drivers of small searches, fifty times, and looks at what is left: some twenty minutes.
faults: $(READY)
	$(BIN)/python -m benchmarks.faults $(ARGS)

$(READY): requirements.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 to 3.13 is needed; name one with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# 1: the file; 2: what it is resolved for besides.
define resolve
	uv pip compile --universal --python-version 3.11 --group dev $(2) --no-annotate --no-header pyproject.toml \
		| grep -v -E "^(nvidia-|cuda-|triton)|win32'$$" $(if $(2),| grep -v -x -F -f requirements.txt) > requirements.part
	{ sed -n '/^#/p' $(1); cat requirements.part; } > requirements.new
	mv requirements.new $(1); rm requirements.part
endef

# Resolves pyproject.toml anew for every supported Python and platform (needs uv).
requirements:
	$(call resolve,requirements.txt)
	$(call resolve,requirements-team.txt,--extra team --group team --constraint requirements.txt)
	$(call resolve,requirements-cluster.txt,--extra cluster --constraint requirements.txt --constraint requirements-team.txt)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
