# Two commands: `make demo` shows a portrait moving, `make test` runs all tests. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint types bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt src/countenance/face/_rasterizer.c
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/countenance assets fetch
	touch $(READY)

demo: setup
	$(BIN)/python examples/demo.py

test: setup
	$(BIN)/python -m pytest -n auto

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/heads_test.py

clean:
	rm -rf .venv build demo
