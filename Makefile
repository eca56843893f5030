# One command each. Needs make and Python 3.11 or newer (3.11 and 3.12 carry Redis in a wheel); the rest comes from
# the lock file into .venv. `make PYTHON=/path/to/python3.12 venv` chooses another Python.

SHELL := /bin/sh
PY := .venv/bin/python
WORKERS ?= 2
PYTEST_ARGS ?=
SOURCES := affiliates backoffice benchmarks brokerage compliance graphql_api jobs ledger lending signals_hub tests manage.py
# Strictly typed: everything but tests, migrations and the generated rest of Django.
TYPED := affiliates backoffice benchmarks brokerage compliance graphql_api jobs ledger lending signals_hub manage.py

.DEFAULT_GOAL := help
.PHONY: help run stop test faults soak accounts payouts load scale bench fill drill check format venv lock schema docs clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: venv  ## Start everything: servers, web, workers, scheduler, streams, simulator; Ctrl-C stops it
	@$(PY) manage.py start

stop: venv  ## Stop what `make run` started, from another terminal
	@$(PY) manage.py stop

test: venv  ## Run the tests on two processors (WORKERS=4, PYTEST_ARGS="-k name")
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

SEEDS ?= 20
FIRST ?= 1
FAULT ?=
GENERATION ?=
SEED ?= 1
ACCOUNTS ?= 200

faults: venv  ## Every fault with many seeds (SEEDS=20, FAULT=name, GENERATION=v4); writes docs/faults.md
	@$(PY) -m tests.faults matrix --seeds $(SEEDS) --first $(FIRST) --fault "$(FAULT)" --generation "$(GENERATION)"

soak: venv  ## Clients trade while faults fall on everything (SEED=1 MINUTES=10)
	@$(PY) -m tests.faults soak --seed $(SEED) --minutes $(or $(MINUTES),10) --generation "$(GENERATION)"

accounts: venv  ## Many accounts on one streams process and on two, one of them killed (ACCOUNTS=200)
	@$(PY) -m tests.faults accounts --accounts $(ACCOUNTS)

COUNT ?= 200

payouts: venv  ## Payments leave while workers, custodian, PostgreSQL and Redis are killed (COUNT=200 SEED=1)
	@$(PY) -m tests.faults payouts --count $(COUNT) --seed $(SEED)

CLIENTS ?= 200
EVERY ?= 60
WEBS ?= 2
WORKER_COUNT ?= 3
STREAMS ?= 2

load: venv  ## Clients trade while an officer works in the console (CLIENTS=200 MINUTES=5 EVERY=60)
	@$(PY) -m tests.faults load --clients $(CLIENTS) --minutes $(or $(MINUTES),5) --every $(EVERY)

scale: venv  ## The same through PgBouncer, on several processes of a kind (WEBS=2 WORKER_COUNT=3 STREAMS=2)
	@$(PY) -m tests.faults load --clients $(CLIENTS) --minutes $(or $(MINUTES),5) --every $(EVERY) \
		--pooled --webs $(WEBS) --workers $(WORKER_COUNT) --streams $(STREAMS)

BENCH ?=
SCALE ?= 1

bench: venv  ## How fast it is, beside references (BENCH="ledger jobs" for some); writes docs/measurements.md
	@$(PY) -m benchmarks $(BENCH) --scale $(SCALE) --write

POSTINGS ?= 1000000

fill: venv  ## Fill the demo's database with made-up postings, for looking at it when it is large (POSTINGS=1000000)
	@$(PY) -m benchmarks.postings $(POSTINGS)

TRADES ?= 1000000

drill: venv  ## Back up, restore and verify a database of so many trades (TRADES=1000000); writes docs/measurements.md
	@$(PY) -m benchmarks.drill $(TRADES) --write

check: venv  ## Format, lint, layers, types, missing and unsafe migrations, drift of schema and generated docs
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/mypy $(TYPED)
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) -m tests.schema_changes
	$(PY) manage.py write_docs --check

format: venv  ## Format and mend what can be mended by itself
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

venv:  ## Build .venv from the lock file if it is missing or stale
	@PYTHON="$(PYTHON)" sh .ci/venv

lock: venv  ## Resolve requirements/*.in anew into the lock files
	@rm -rf .venv-lock && $(PY) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	@for name in run dev; do .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --upgrade requirements/$$name.in --output-file requirements/$$name.lock || exit 1; done
	@rm -rf .venv-lock

schema: venv  ## Write schema.graphql and the generated pages in docs/
	@$(PY) manage.py write_docs

docs: schema  ## The same as schema

clean: stop  ## Remove .venv, caches and, after asking, the demo data
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@if [ -d .data ]; then printf 'Remove .data with all demo data? [y/N] '; read answer; \
		if [ "$$answer" = y ]; then rm -rf .data; fi; fi
	@if [ -L .venv ]; then echo '.venv is a link and stays.'; else rm -rf .venv; fi
