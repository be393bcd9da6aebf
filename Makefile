# Everything a developer or CI runs. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
STORE ?=
# Options of `make torture`: --minutes, --seed, --only, --engine.
TORTURE ?=

.PHONY: help setup demo test torture check format bench clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-8s %s\n", $$1, $$2}'

# Two stamps, so that `make demo` waits for what it runs and not for the tests' tools.
$(VENV)/runtime: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing sendonce into $(VENV) ..."
	@$(PIP) --no-compile --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime
	@echo "Installing the tests' tools into $(VENV) ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

setup: $(VENV)/dev ## Make .venv with everything in it

demo: $(VENV)/runtime ## Ten contracts, a kill -9, and the proof that everybody got exactly one message
	@$(BIN)/sendonce demo $(if $(STORE),--store $(STORE)) $(DEMO)

test: $(VENV)/dev ## Run the tests
	@$(BIN)/pytest -q -n 3 --dist worksteal $(TEST)

torture: $(VENV)/dev ## Kill, stop, deploy and cut off with random seeds, and print what became of the messages
	@$(BIN)/python -m tests.crash.torture $(TORTURE)

check: $(VENV)/dev ## Lint, format check, types, direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/dev ## Format and fix what can be fixed
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/runtime ## Measure everything that has a figure (needs nginx)
	@for what in import dispatch http "http --receipts 3 --messages 30000" status memory restart rate; do \
		$(BIN)/sendonce bench $$what || exit 1; done

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
