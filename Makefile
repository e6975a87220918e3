# The one list of commands. On a fresh machine `make serve` and `make test` do all the set-up.
PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --require-hashes -r
PACKAGES := --exclude-newer $(shell date -u -d '7 days ago' +%F 2>/dev/null)

.PHONY: serve test lint bench web clean lock
.DEFAULT_GOAL := serve

serve: .venv/serve.stamp
	@exec $(BIN)/tramontane serve

test: .venv/test.stamp lint
	@./.ci/prepare
	@$(BIN)/python -m pytest

lint: .venv/test.stamp
	@$(BIN)/ruff check --no-cache src tests bench
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/mypy

bench: .venv/test.stamp
	@$(BIN)/python -m bench

# The web client's source is a folder of its own; without it, or without Node, the server runs all the same.
web:
	@if [ -f web/package.json ]; then cd web && npm ci --no-audit --no-fund && npm run build; \
	else echo "There is no web client in this release; the HTTP API and the terminal serve everything."; fi

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache bench/.work
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Writes the hash-locked requirements anew from pyproject.toml; nothing younger than seven days gets in.
lock: .venv/python.stamp
	@$(PIP) uv
	@cd requirements && for set in "serve" "llamacpp --extra llamacpp" "test --extra llamacpp --group ../pyproject.toml:test"; do \
	  set -- $$set; name=$$1; shift; \
	  ../$(BIN)/uv pip compile ../pyproject.toml $$@ --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    $(PACKAGES) --quiet --output-file $$name.lock; done

.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tramontane needs Python 3.11 or newer; run make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@touch $@

.venv/serve.stamp: .venv/python.stamp pyproject.toml requirements/serve.lock requirements/build.lock
	@echo "Installing Tramontane into .venv (once; a few minutes on a slow line) ..."
	@$(LOCKED) requirements/serve.lock
	@$(LOCKED) requirements/build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# torch differs per machine, so it is pinned without a hash; it serves as the reference in tests and is never imported by the server.
.venv/test.stamp: .venv/serve.stamp requirements/test.lock
	@echo "Installing what the tests need ..."
	@$(LOCKED) requirements/test.lock
	@$(PIP) torch==2.13.0
	@touch $@
