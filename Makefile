# What a person types. Python 3.11 or newer and make are all that is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PACKAGES := protocol registry resolver admin benchmarks
TESTS ?=
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

FUZZ ?= 1000000
KILLS ?= 1000

.PHONY: run demo test fuzz interop kills rehearsal lint bench clean lock

run: $(INSTALLED)  ## Start a node and a stub of the top-level node; Ctrl-C stops all.
	@$(BIN)/python -m admin.dev

demo: $(INSTALLED)  ## Fill the running node with an example.
	@$(BIN)/idnode demo

test: $(INSTALLED)  ## Run all tests, the fast ones first; TESTS=tests/unit runs some, PARALLEL= one by one.
	$(BIN)/python -m pytest $(PARALLEL) $(TESTS)

interop: $(INSTALLED)  ## Drive unmodified Handle clients against a node; needs a JDK and Maven.
	INTEROP=required $(BIN)/python -m pytest tests/interop

fuzz: $(INSTALLED)  ## Send the node a million broken messages of the Handle protocol.
	IDNODE_MUTATIONS=$(FUZZ) $(BIN)/python -m pytest -s tests/property/test_handle_mutations.py

kills: $(INSTALLED)  ## Kill node, uplink and top-level stub at random points, KILLS times.
	KILL_ROUNDS=$(KILLS) $(BIN)/python -m pytest -s tests/integration/test_uplink_kills.py

lint: $(INSTALLED)  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --config-file setup.cfg

bench: $(INSTALLED)  ## Measure beside nginx, a stock aiohttp handler and a bare COPY.
	$(BIN)/python -m benchmarks

rehearsal: $(INSTALLED)  ## Ten nodes on this machine, killed, stopped and cut off in turn; as root in network namespaces.
	$(BIN)/python -m benchmarks.rehearsal

clean:  ## Remove what was installed and made; the data in var/ stays.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "idnode needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock:  ## Write requirements.lock anew; needs pip-tools.
	pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
		--extra embedded --extra test --extra bench --build-deps-for editable \
		--no-emit-index-url --no-emit-find-links --output-file requirements.lock setup.cfg
