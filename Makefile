# `make run` simulates 200,000 GPUs for 54 days; `make test` is what every change must pass.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lint bench validate reference picture

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: .venv/.dev ## make .venv with everything that tests need

run: .venv/.run ## simulate scenarios/h100-200k.yaml and print its summary
	$(BIN)/dcsim run scenarios/h100-200k.yaml

test: lint ## lint, types and tests
	$(BIN)/mypy
	$(BIN)/pytest -n 2

lint: .venv/.dev ## style and format, without changing a file
	$(BIN)/ruff check
	$(BIN)/ruff format --check

bench: .venv/.run ## kernels and whole runs, as a table of ratios
	$(BIN)/python -m bench.run

validate: .venv/.dev ## compare with the published figures; needs their data
	$(BIN)/pytest -n 2 -m validate

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.run: pyproject.toml | .venv/bin/python
	$(PIP) --editable .
	touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev]'
	touch .venv/.run $@

reference: .venv/.run ## write build/reference.md: keys, metrics, columns, errors and units
	mkdir -p build
	$(BIN)/dcsim help --markdown > build/reference.md

picture: .venv/.run ## draw .github/report.png, the picture in the README; needs Chromium
	rm -rf build/picture
	$(BIN)/dcsim run scenarios/h100-200k.yaml --quiet --out build/picture
	chromium --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars \
		--disable-background-networking --disable-component-update --disable-sync \
		--virtual-time-budget=8000 --window-size=1000,1330 --screenshot=.github/report.png \
		file://$(CURDIR)/build/picture/report.html
