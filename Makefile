# Everything from a clone: Python 3.11 or newer, GNU make, and access to a package index for the first call.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: demo test check browser bench peers privacy toolbox exports tracking mutants docs clean help

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --constraint constraints.txt
PINS := pyproject.toml constraints.txt
DEMO := outputs/demo

demo: .venv/.run  ## compare attacks and defenses on the four heart-disease hospitals, write the report
	@echo "Step 3 of 3 (1 and 2, the installation into .venv, are done): 5 attacks x 7 defenses x 3 seeds on twelve hospitals."
	@echo "  About 10 seconds on two idle cores, more on a busy machine. A second call goes on from $(DEMO)."
	$(BIN)/wardround compare hydra.run.dir=$(DEMO)
	@echo "The report is $(CURDIR)/$(DEMO)/report/index.html"

# One process runs a file, and so makes once what its tests share; the files come in the order of tests/conftest.py.
test: .venv/.dev  ## run the test suite on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/.dev  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

browser: .venv/.browser  ## open pages in Chromium, which must be installed: use them, and look for barriers with axe
	BROWSER_TESTS=required $(BIN)/python -m pytest -m "browser and not slow" tests/browser

bench: .venv/.bench  ## measure speed against slow references and against other tools
	$(BIN)/python -m benchmarks

peers: .venv/.dev  ## hold rules and attacks to ByzFL, an independent implementation
	$(INSTALL) --no-deps byzfl==0.0.11
	$(BIN)/python -m pytest tests/aggregators/test_against_byzfl.py tests/attacks/test_byzantine.py

privacy: .venv/.dev  ## measure at full size: attacks on privacy, audits, the hardened design
	$(BIN)/python -m pytest -m slow -s tests

toolbox: .venv/.toolbox  ## run the attacks that the Adversarial Robustness Toolbox computes
	$(BIN)/python -m pytest tests/attacks/test_toolbox.py tests/sim/config/test_every_config.py tests/sim/study/test_costs.py

exports: .venv/.exports  ## hold the exports to the models of OSCAL and the schema of CycloneDX
	$(BIN)/python -m pytest tests/threats/exports

tracking: .venv/.tracking  ## track runs in a real MLflow, whose every connection is refused
	$(BIN)/python -m pytest tests/reports/test_tracking.py

mutants: .venv/.mutants  ## change the code in 200 places, one at a time, and count the changes that no test notices
	$(BIN)/python -m pytest tests/whole/test_mutants.py
	$(BIN)/python -m tests.mutants

docs: .venv/.docs  ## build the documentation as a site
	$(BIN)/sphinx-build -q -W -n -c docs -d build/doctrees . build/site
	@echo "The site is $(CURDIR)/build/site/index.html"

clean:  ## remove the virtual environment, outputs and caches
	rm -rf .venv outputs build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1 \t\2/p' Makefile

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wardround needs Python 3.11 or newer (set PYTHON)")'
	@echo "Step 1 of 3: a virtual environment in .venv, a few seconds."
	$(PYTHON) -m venv .venv

.venv/.run: $(PINS) | .venv/bin/python
	@echo "Step 2 of 3: the pinned packages, from the package index into .venv. Once: 1 to 5 minutes, and up to 5 GB on the disk"
	@echo "  (1.5 GB with the builds of torch without a GPU: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu)."
	@echo "  Nothing else is shown until they are there. $$(date +%H:%M:%S)"
	$(INSTALL) --editable .
	@echo "  The packages are there. $$(date +%H:%M:%S)"
	touch $@

.venv/.dev: $(PINS) | .venv/.run
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv/.browser: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,browser,docs]'
	touch $@

.venv/.bench: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,ray]'
	touch $@

.venv/.toolbox: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,art]'
	touch $@

.venv/.exports: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,exports]'
	touch $@

.venv/.tracking: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,mlflow]'
	touch $@

.venv/.mutants: $(PINS) | .venv/.dev
	$(INSTALL) --editable '.[dev,art,mutants]'
	touch $@

.venv/.docs: $(PINS) | .venv/.run
	$(INSTALL) --editable '.[docs]'
	touch $@
