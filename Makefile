# Watercooler. `make help` prints every target. Works with GNU make 3.81 (macOS) and newer.
#
# What has been installed is remembered by empty files in .venv/.stamps and node_modules, so that a second `make run` starts at once.

VENV ?= .venv
PYTHON ?=
PYTEST_ARGS ?=
PARTS ?=
WORKERS ?= 2

BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
WEB := services/gateway/assets
WEB_SOURCES := $(WEB)/build.mjs $(shell find $(WEB)/src -type f 2>/dev/null)
MODULES := $(WEB)/node_modules
TOOLS := $(STAMPS)/dev $(MODULES)/.dev
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
CHART := deploy/helm/watercooler
BUF := $(CURDIR)/$(MODULES)/.bin/buf

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help run install test test-cluster helm-check test-kubernetes lint types contracts check-protos protos assets screenshots lock bench clean dev

help: ## Print this list.
	@echo "Usage: make TARGET    (run SAMPLE=1, WATERCOOLER_PORT=8000, WATERCOOLER_DATA=var, PYTHON=python3.12, PYTEST_ARGS='-k feed')"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

run: install ## Start the network on http://localhost:8000; SAMPLE=1 fills an empty one with a sample organisation.
	@exec $(BIN)/watercooler run $(if $(SAMPLE),--sample)

install: $(STAMPS)/project $(WEB)/dist/manifest.json ## Everything `run` needs, without starting it.
	@:

# --- installation -------------------------------------------------------------------------------------------------

$(STAMPS)/venv:
	@scripts/venv.sh $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements/runtime.txt $(STAMPS)/venv
	@echo "Installing what Watercooler runs on (requirements/runtime.txt)"
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	@echo "Installing what the checks need (requirements/dev.txt)"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/runtime
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q libs services protos  # a start need not compile, also where PYTHONDONTWRITEBYTECODE is set
	@touch $@

# `npm ci` empties node_modules first, so the marks of what it holds are kept in there. The checkers' packages contain the build's.
$(MODULES)/.runtime: $(WEB)/package-lock.json $(WEB)/package.json | $(STAMPS)/runtime
	@echo "Installing what the web interface is built from (package-lock.json)"
	@scripts/assets.sh $(VENV) runtime
	@touch $@

$(MODULES)/.dev: $(WEB)/package-lock.json $(WEB)/package.json | $(STAMPS)/runtime
	@echo "Installing what the web interface is built from and checked with (package-lock.json)"
	@scripts/assets.sh $(VENV) dev
	@touch $(MODULES)/.runtime $@

$(WEB)/dist/manifest.json: $(WEB_SOURCES) $(WEB)/package-lock.json | $(MODULES)/.runtime
	@echo "Building the web interface"
	@scripts/assets.sh $(VENV) none build
	@touch $@

assets: $(MODULES)/.runtime ## Build the web interface (services/gateway/assets/dist).
	@scripts/assets.sh $(VENV) none build

dev: $(TOOLS) install ## Everything the checks need, too.
	@:

# --- checks -------------------------------------------------------------------------------------------------------

test: dev ## All checks and tests; PYTEST_ARGS narrows the tests, WORKERS (2) run them side by side.
	@status=0; \
	$(MAKE) --no-print-directory --keep-going lint types contracts check-protos \
	    || { status=1; echo "The checks before the tests found something, see above; the tests run all the same." >&2; }; \
	scripts/browser-note.sh; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --ignore=tests/cluster --ignore=tests/deploy $(PYTEST_ARGS) tests || status=1; \
	exit $$status

test-cluster: dev ## Everything on real engines, one process a service, and faults; PARTS='contracts journeys browser faults'.
	@scripts/browser-note.sh
	@$(BIN)/python -m tests.cluster.run $(PARTS) -- $(PYTEST_ARGS)

helm-check: dev ## The Helm chart: lint, its tests, schemas of the oldest and newest Kubernetes, rules and dashboards.
	@PYTHON3=$(CURDIR)/$(BIN)/python scripts/helm-tools.sh
	@for values in $(CHART)/ci/*-values.yaml; do .tools/bin/helm lint --strict --quiet --values $$values $(CHART) || exit 1; done
	@.tools/bin/helm-unittest $(CHART)
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS) tests/deploy

test-kubernetes: dev ## The chart and our image on a real Kubernetes that is built and started here (root; half an hour the first time).
	@PYTHON3=$(CURDIR)/$(BIN)/python scripts/helm-tools.sh
	@tests/kubernetes/tools.sh
	@$(BIN)/python -m tests.kubernetes.run

lint: $(TOOLS) ## Style and likely mistakes: ruff for Python, buf for the protos (also against the last release).
	@echo "ruff"
	@$(BIN)/ruff check --quiet .
	@echo "buf lint"
	@cd protos && $(BUF) lint
	@tag=$$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true); \
	if [ -n "$$tag" ]; then echo "buf breaking, against $$tag"; cd protos && $(BUF) breaking --against "../.git#tag=$$tag,subdir=protos"; fi

types: $(TOOLS) ## Types, strictly (mypy over libs/ and services/).
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

contracts: $(TOOLS) ## Who may import whom (import-linter, in pyproject.toml).
	@echo "import contracts"
	@$(BIN)/lint-imports --no-logo

check-protos: $(TOOLS) ## The generated code of the protos is current.
	@echo "generated code"
	@$(BIN)/python scripts/protos.py --check

# --- the rest -----------------------------------------------------------------------------------------------------

protos: $(TOOLS) ## Generate the Python code of the protos, beside them.
	@$(BIN)/python scripts/protos.py

screenshots: dev ## Pictures of every page at three widths, light and dark (screenshots/).
	@$(BIN)/python tests/browser/screenshots.py

lock: $(STAMPS)/dev ## Lock requirements/*.in into requirements/*.txt; UPGRADE=1 takes newer versions.
	@for name in runtime dev image; do \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	        --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) \
	        requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

bench: dev ## Every benchmark in benchmarks/; each prints its figures.
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Remove what was built and installed; data in var/ stays.
	rm -rf $(VENV) .tools build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache screenshots
	rm -rf $(WEB)/node_modules $(WEB)/dist $(WEB)/dist.new
	find libs services tests protos scripts -name __pycache__ -type d -prune -exec rm -rf {} +
