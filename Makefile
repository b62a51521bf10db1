# Every target does its own set-up: a Python >= 3.11 with venv, and make, are enough.

PYTHON ?= python3
VENV   := .venv
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

test: $(VENV)/.test ## Run the tests
	@$(BIN)/python -bb -m pytest $(ARGS)

check: $(VENV)/.check types ## Lint, format check and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.check ## mypy --strict and pyright
	@$(BIN)/mypy
	@$(BIN)/pyright

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage
