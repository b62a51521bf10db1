# Every target does its own set-up: a Python >= 3.11 with venv, and make, are enough.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test check types bench conformance fuzz soak docs clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp a set of packages: made again when pyproject.toml changes. `pip install --group` needs pip 25.1.
$(VENV)/.core: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "error: $(PYTHON) has no venv. On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.%: $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group $*
	@touch $@

run: $(VENV)/.core ## Start the server with its embedded defaults (ARGS="--listen line://127.0.0.1:9000")
	@exec $(BIN)/hardpoint serve $(ARGS)

# Two processes share the files: each has one at a time, in our order (browser tests last, tests/conftest.py). Much of a
# test is waiting, for a process that starts or a disk. `-n` would leave out the workers' -bb, -n0 ends the sharing. A
# process that hung and was ended (faulthandler_timeout) is not replaced: pytest-xdist 3.8 can then wait for ever.
SHARED := --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --tx '2*popen//python=$(BIN)/python -bb'

test: $(VENV)/.test ## Run the tests, in two processes (ARGS="-n0 --pdb tests/wire": in one)
	@$(BIN)/python -bb -m pytest $(SHARED) $(ARGS)

check: types ## Lint, format, types, generated pages and changelog fragments
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python tools/reference.py --check
	@$(BIN)/python tools/changes.py check

types: $(VENV)/.check ## mypy --strict and pyright
	@$(BIN)/mypy
	@$(BIN)/pyright

# An environment of its own: a scanner's requirements are not ours to fulfil.
$(VENV)/wapiti/bin/wapiti: | $(VENV)/.core
	@$(PYTHON) -m venv $(VENV)/wapiti
	@$(VENV)/wapiti/bin/python -m pip install --quiet --disable-pip-version-check 'wapiti3>=3.2'

conformance: $(VENV)/.test $(VENV)/.conformance $(VENV)/wapiti/bin/wapiti ## Against others' parsers, real clients (nc, curl, a browser) and real libraries
	@$(BIN)/python -bb -m pytest -m conformance $(ARGS)

fuzz: $(VENV)/.test ## Every property with far more examples, and mutated requests, packets, frames (FUZZ_EXAMPLES, FUZZ_SECONDS)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-20000} $(BIN)/python -bb -m pytest -m hypothesis -o faulthandler_timeout=0 $(ARGS)
	@$(BIN)/python tests/fuzz/fuzz_http1.py --seconds $${FUZZ_SECONDS:-300}
	@$(BIN)/python tests/fuzz/fuzz_mqtt.py --seconds $${FUZZ_SECONDS:-300}
	@$(BIN)/python tests/fuzz/fuzz_websocket.py --seconds $${FUZZ_SECONDS:-300}

bench: $(VENV)/.test $(VENV)/.bench ## What it costs, as ratios beside its peers; needs cc, taskset and wrk
	@$(BIN)/python benchmarks/run.py $(ARGS)

soak: $(VENV)/.test ## Kill it, fill its disk, starve it: many more rounds than the tests do
	@SOAK_ROUNDS=$${SOAK_ROUNDS:-200} $(BIN)/python -bb -m pytest tests/e2e tests/stores/test_crash.py $(ARGS)

docs: $(VENV)/.core ## Make the generated pages anew (docs/cli.md, docs/configuration.md)
	@$(BIN)/python tools/reference.py

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage
