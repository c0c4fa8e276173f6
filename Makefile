# Needs Python 3.11 or newer, with venv and pip. Another one than python3: make PYTHON=python3.12 run

PYTHON ?= python3
UV ?= uv
# Tests also wait: one worker more than there are cores still finds something to do.
PYTEST_WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST_MOST_WORKERS ?= 4

VENV := .venv
BIN := $(VENV)/bin
# Stamps carry what they stand for: another lock, Python or folder makes another environment, and one that was
# interrupted has no stamp.
LOCKED := $(VENV)/locked-$(shell { cat requirements.lock; pwd; $(PYTHON) -VV; } 2>&1 | cksum | tr ' ' -)
READY := $(LOCKED)-$(shell cksum < pyproject.toml | tr ' ' -)

.PHONY: run test check bench test-external web lock clean

run: $(READY)
	@exec $(BIN)/voltgraph demo

test: $(READY)
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses $(PYTEST_MOST_WORKERS) --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/voltgraph schema | diff -u schema/schema.graphql -

bench: $(READY)
	$(BIN)/python -m bench

# The suite against the servers that VOLTGRAPH_DATABASE_URL, VOLTGRAPH_DATABASE_OWNER_URL and VOLTGRAPH_REDIS_URL name.
test-external: $(READY)
	@: $${VOLTGRAPH_DATABASE_URL:?} $${VOLTGRAPH_DATABASE_OWNER_URL:?} $${VOLTGRAPH_REDIS_URL:?}
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses $(PYTEST_MOST_WORKERS) --dist loadfile

# Needs Node.js and, once, the web: GraphiQL's scripts, so that the server gives them itself (web/README.md).
web:
	npm ci --prefix web --ignore-scripts --no-audit --no-fund --loglevel error
	node web/build.js

# Needs uv. No header and no index lines: the file names packages and hashes, not where they come from.
lock:
	$(UV) pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-header --quiet --upgrade \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) web/node_modules gateways/graphql/assets dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(LOCKED): | python
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(READY): $(LOCKED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(LOCKED)-*
	@touch $@

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "voltgraph needs Python 3.11 or newer, this is " + sys.version)'
