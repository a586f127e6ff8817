# `make demo` shows the bank, `make test` tests everything. The environment is .venv; it is made and kept up to date by itself.
# `make test` needs Python 3.11 or newer, and for Kafka Java and Maven, or addresses of servers (CONTRIBUTING.md).

PYTHON ?= python3
# That `make test` runs in; each starts servers of its own. Most tests wait for servers, so two fit on two cores.
PROCESSES ?= 2
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo ledger servers servers-three test test-fast check format bench faults clean

help:
	@echo "make demo       the bank, on SQLite, in under a minute"
	@echo "make ledger     a real bank ledger, replayed and verified [LOG=kafka://...] [VIEWS=postgresql://...]"
	@echo "make servers    start Kafka and Postgres and print their addresses, until Ctrl-C"
	@echo "make servers-three  the same, with three brokers: replication 3, two in sync"
	@echo "make test       check, then every test, Kafka and Postgres included [PROCESSES=1]"
	@echo "make test-fast  the tests that need no server and build nothing"
	@echo "make check      lint, format, types (mypy, pyright), import contracts"
	@echo "make format     format the sources and mend what ruff can mend"
	@echo "make bench      ours beside the raw client's, in one run"
	@echo "make faults     kill, stop and cut what the project runs on, and judge what comes of it [ARGS='--only kill --seed 7']"
	@echo "make clean      remove the environment and what tools left"

install: $(READY)

# Said here, before pip says it in its own words.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "eventcore needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/python -m examples.bank.demo

ledger: $(READY)
	$(BIN)/python -m examples.ledger $(if $(LOG),--log $(LOG)) $(if $(VIEWS),--views $(VIEWS))

servers: $(READY)
	$(BIN)/python -m tests.servers

servers-three: $(READY)
	$(BIN)/python -m tests.servers --three

test: check
	$(BIN)/python -m tests.servers --prepare
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile

test-fast: $(READY)
	$(BIN)/pytest -m 'not server and not slow'

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q tests/tidy

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(READY)
	EVENTCORE_TEST_DOCKER=no $(BIN)/python -m benchmarks

faults: $(READY)
	$(BIN)/python -m faults $(ARGS)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
