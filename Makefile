# The two commands: `make demo` and `make test`. Everything they need is installed into .venv by them.
# CI and people run the same targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without compiled files every Dagster process compiles everything again: a minute instead of seconds.
unexport PYTHONDONTWRITEBYTECODE
export HF_HUB_OFFLINE := 1
DEBIAN_PACKAGES := chromium postgresql

.PHONY: demo test test-slow check install install-test bench debian lock clean

demo: install
	$(BIN)/mesh demo $(if $(ONCE),--once)

# A file of tests is one process's; more processes than this would wait for the disk and the live meshes.
test: install-test debian check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Proofs that take minutes to hours; MESH_TEST_SEED repeats a sequence of changes that failed.
test-slow: install-test debian
	$(BIN)/python -m pytest -m slow

check: install-test
	$(BIN)/ruff format --check mesh_assets mesh_assets_tests
	$(BIN)/ruff check mesh_assets mesh_assets_tests
	$(BIN)/pyright
	$(BIN)/dagster definitions validate -w workspace.yaml

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

# torch first and alone: where a CPU build of the pinned version is at hand, pip takes that one.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check --no-compile "$$(grep '^torch==' requirements.lock)"
	$(BIN)/pip install -q --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib >/dev/null || true  # packages hold files for newer Pythons
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-compile -r requirements-test.lock
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib >/dev/null || true  # packages hold files for newer Pythons
	touch $@

# What benchmarks compare with; nothing else needs it.
bench: $(VENV)/.installed
	$(BIN)/pip install -q --disable-pip-version-check --no-compile -r requirements-bench.lock

# The browser tests drive Debian's Chromium, and those of the ledger a PostgreSQL server of their own. Without root they
# skip, and this line says how to change that. Debian has the programs of PostgreSQL beside the path.
debian:
	@if command -v chromium >/dev/null && { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(DEBIAN_PACKAGES) >/dev/null; \
	else echo "The tests of the UI, or of the ledger on a server, will be skipped. To run them: sudo apt-get install -y $(DEBIAN_PACKAGES)"; fi

# New pins: resolve pyproject.toml afresh in an environment of its own and write down what came out.
lock:
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/pip install -q "torch==2.13.0" && .lock-venv/bin/pip install -q .
	.lock-venv/bin/pip freeze --exclude intelligence-mesh | sed 's/^torch==\([^+]*\)+.*/torch==\1/' > requirements.lock
	.lock-venv/bin/pip install -q ".[test]"
	.lock-venv/bin/pip freeze --exclude intelligence-mesh | sed 's/+cpu$$//' | grep -vxFf requirements.lock > requirements-test.lock
	.lock-venv/bin/pip install -q ".[test,bench]"
	.lock-venv/bin/pip freeze --exclude intelligence-mesh | sed 's/+cpu$$//' | grep -vxFf requirements.lock -f requirements-test.lock > requirements-bench.lock
	rm -rf .lock-venv

clean:
	rm -rf $(VENV) .lock-venv .pytest_cache .ruff_cache
