# On Windows, without make: see README.md. Every target first brings .venv up to date, which is instant when it is.
PYTHON ?= python3
VENV := .venv/bin
AXE := .venv/axe/node_modules/axe-core/axe.min.js

.DEFAULT_GOAL := help
.PHONY: help setup lab test check lint bench wheelhouse axe clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## create .venv and install efflab into it, when needed
	@$(PYTHON) tools/setup_env.py

lab: setup ## open the notebooks in JupyterLab
	@$(VENV)/efflab lab

test: lint ## everything: ruff, mypy, units, house, notebooks, browser
	@$(VENV)/python -m pytest

check: lint ## the fast part: ruff, mypy, units, house
	@$(VENV)/python -m pytest -m "not slow and not browser"

lint: setup ## ruff and mypy
	@$(VENV)/python -m ruff check .
	@$(VENV)/python -m ruff format --check .
	@$(VENV)/python -m mypy

bench: setup ## the benchmarks, one after the other
	@found=; for file in benchmarks/[!_]*.py; do \
	    [ -e "$$file" ] || break; found=1; echo "== $$file"; $(VENV)/python "$$file" || exit 1; \
	done; [ "$$found" ] || { echo "no benchmark found in benchmarks/"; exit 1; }

wheelhouse: setup ## gather all wheels in wheelhouse/, for a room without internet
	@$(VENV)/python tools/make_wheelhouse.py

axe: setup $(AXE) ## fetch axe-core with npm, for the accessibility test in the browser
$(AXE):
	@npm install --prefix .venv/axe --ignore-scripts --no-save --no-audit --no-fund axe-core@4.14.1

clean: ## remove caches and builds; .venv and your own work stay
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
	@find efflab tests benchmarks tools notebooks -name __pycache__ -prune -exec rm -rf {} +
