# `make demo` shows a portrait moving, `make test` runs all tests. Each sets up what it needs in .venv first.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
DEMO_READY := .venv/.ready-for-demo
READY := .venv/.ready
INPUTS := pyproject.toml setup.py constraints.txt src/countenance/face/_rasterizer.c

.PHONY: setup demo test package lint types bench fuzz clean

setup: $(READY)

# The demo's renderer needs no PyTorch, so the demo waits for none.
$(DEMO_READY): $(INPUTS)
	@echo "setting up .venv for the demo: 0.9 GB of packages when unpacked"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[demo]'
	$(BIN)/countenance assets fetch face_landmarker.task
	touch $@

# A marked `setup` serves the demo, too; a demo's .venv is completed, nothing is installed twice.
$(READY): $(INPUTS)
	@echo "setting up .venv for development: 2.7 GB of packages when unpacked, and several more where PyTorch brings CUDA"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[dev]'
	$(BIN)/countenance assets fetch
	touch $(DEMO_READY) $@

demo: $(DEMO_READY)
	$(BIN)/python examples/demo.py

test: setup
	$(BIN)/python -m pytest -n auto

package: setup
	$(BIN)/python tools/check_package.py

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/heads_test.py

# Damaged files for every reader; FUZZ="--inputs 2000 --reader video --seed 1" does less, or other.
fuzz: setup
	cd tests && ../$(BIN)/python -m fuzz --keep ../findings $(FUZZ)

clean:
	rm -rf .venv build demo
