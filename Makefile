# The one list of commands. On a fresh machine `make serve` and `make test` do all the set-up.
PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOCKED := $(PIP) --require-hashes -r
PACKAGES := --exclude-newer $(shell date -u -d '7 days ago' +%F 2>/dev/null)

# The web client: its source, what is built of it, and whether there is a Node.js new enough to build it.
CLIENT  := src/tramontane/entrypoints/web/built/index.html
SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' 2>/dev/null)
NPM     := npm --prefix web --loglevel=error
NODE    := $(shell npm --version >/dev/null 2>&1 && node -e 'const [a, b] = process.versions.node.split("."); \
             process.stdout.write(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? "yes" : "")' 2>/dev/null)

.PHONY: serve test lint bench web client clean lock
.DEFAULT_GOAL := serve
# A build that failed at its last step is no build.
.DELETE_ON_ERROR:

serve: .venv/serve.stamp client
	@exec $(BIN)/tramontane serve

test: .venv/test.stamp lint $(if $(NODE),$(CLIENT))
	@./.ci/prepare
	@$(if $(NODE),$(NPM) test,echo "Without Node.js 20.19 or newer the web client is not tested.")
	@$(BIN)/python -m pytest

lint: .venv/test.stamp $(if $(NODE),web/node_modules/.stamp)
	@$(BIN)/ruff check --no-cache src tests bench
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/mypy
	@$(if $(NODE),$(NPM) run --silent lint && $(NPM) run --silent check)

bench: .venv/test.stamp
	@$(BIN)/python -m bench

web:
	@$(if $(NODE),$(MAKE) --silent $(CLIENT),echo "The web client needs Node.js 20.19 or newer and npm: install them and run make web again." >&2; exit 1)

# What serving does about the client: builds it where that is possible, and never fails for want of it.
client:
	@$(if $(NODE),$(MAKE) --silent $(CLIENT) || echo "The web client could not be built; the server goes on without it.",:)

$(CLIENT): web/node_modules/.stamp $(SOURCES)
	@echo "Building the web client ..."
	@$(NPM) run --silent build
	@touch $@

web/node_modules/.stamp: web/package.json web/package-lock.json
	@echo "Installing what the web client is built with (once) ..."
	@$(NPM) ci --ignore-scripts
	@touch $@

clean:
	rm -rf .venv build dist web/node_modules $(dir $(CLIENT)) .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache bench/.work
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
