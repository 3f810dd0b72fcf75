PYTHON ?= python3
BIN := .venv/bin
OUT ?= work_dirs/gpu
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

.PHONY: help demo test test-stack check lint format gpu

help:
	@echo 'make demo   install into .venv and run tools/demo.py'
	@echo 'make test   install into .venv, then make lint and every test'
	@echo 'make test-stack the fast tests on other versions of MMEngine, MMCV and MMPreTrain: STACK=onedl TESTS=tests/models'
	@echo 'make check  make lint and the fast tests'
	@echo 'make lint   check format, lint and types; change nothing'
	@echo 'make format format the code and apply the safe fixes of the linter'
	@echo 'make gpu    measure on a GPU: DATA=folder of imagenette112.zip and flowers5_112.zip, OUT=folder of results'
	@echo 'PYTHON=python3.12 chooses the interpreter that .venv is made with'

demo: .venv/installed
	$(BIN)/python tools/demo.py

test: lint
	$(PYTEST)

test-stack: .venv/installed-dev
	$(if $(TESTS),TESTS='$(TESTS)') tests/stack.sh $(STACK)

check: lint
	$(PYTEST) -m 'not slow'

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# A PYTHON of the command line has the run-time packages and is used as it is.
ifeq ($(origin PYTHON),command line)
gpu:
	PYTHONPATH=. $(PYTHON) benchmarks/gpu.py all --out $(OUT) $(if $(DATA),--data $(DATA))
else
gpu: .venv/installed
	$(BIN)/python benchmarks/gpu.py all --out $(OUT) $(if $(DATA),--data $(DATA))
endif

$(BIN)/pip:
	@echo 'Making .venv with $(PYTHON)'
	$(PYTHON) -m venv .venv

.venv/installed: setup.py | $(BIN)/pip
	@echo 'Installing looc_mm into .venv (PyTorch is several GB: minutes, once)'
	$(BIN)/python -m pip install -e .
	@touch $@

.venv/installed-dev: setup.py | $(BIN)/pip
	@echo 'Installing looc_mm and its development tools into .venv (PyTorch is several GB: minutes, once)'
	$(BIN)/python -m pip install -e '.[dev]'
	$(BIN)/python -m pip install --no-deps albumentations==2.0.8 albucore==0.0.24
	@touch $@
