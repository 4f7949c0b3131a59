# `make up` runs the demo, `make test` the tests; each sets up what it needs and is quick the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Byte code is written by who imports: of the largest packages a small part is ever imported.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: up test test-processes test-all deep mutation month check fmt bench clean

up: $(VENV)/.runtime
	@$(BIN)/python manage.py up $(ARGS)

# Under three minutes. CI, and whoever asks, also runs the slow tests, and then those that start a whole desk: they want
# the cores for themselves.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "$(if $(CI),not processes,not processes and not slow) and not deep" $(ARGS)
	$(if $(CI),$(MAKE) test-processes)

# Only the files that hold some are read: to collect all others takes half a minute.
test-processes: $(VENV)/.dev
	$(BIN)/python -m pytest -m "processes and not deep" $(ARGS) $$(grep -rl --include='test_*.py' mark.processes tests)

test-all:
	$(MAKE) test CI=true

# Minutes more of what chance finds: crashes in pairs and at every commit, a state machine, real processes killed at random.
deep: $(VENV)/.dev
	$(BIN)/python -m pytest -m deep $(ARGS)

# A quarter of an hour: break the code that decides about money, and count what its tests notice. ARGS=gate for a part.
mutation: $(VENV)/.dev
	$(PIP) -r requirements-mutation.txt
	$(BIN)/python -m tests.mutation $(ARGS)

# Half an hour: a month of real hours by the processes that trade, held to the replay and to a recomputation.
month: $(VENV)/.dev
	MONTH_HOURS=720 $(BIN)/python -m pytest tests/processes/test_month.py -rP $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -W error manage.py makemigrations --check --dry-run
	TRADING_MODE=live DEBUG=false HTTPS=true $(BIN)/python -W error manage.py check --deploy --fail-level WARNING

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime
