# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

export PYTHONDONTWRITEBYTECODE :=  # else each of many processes compiles everything anew

TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist worksteal

.PHONY: run test test-slow check bench docs clean

run: $(STAMP)  ## install, then tune and measure the embedded default
	$(BIN)/openflan run

test: $(STAMP)  ## the default test suite, a process a core
	$(TESTS)

test-slow: $(STAMP)  ## what the default suite leaves out (CONTRIBUTING.md names it)
	$(TESTS) -m "slow and not gpu"

check: $(STAMP)  ## style, types, one-way imports, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs recipes studies examples benchmarks README.md CONTRIBUTING.md CHANGELOG.md

bench: $(STAMP)  ## quick benchmarks against the peers
	$(BIN)/pip install -q -c constraints.txt -e ".[bench]"
	$(BIN)/python benchmarks/train_vs_trl.py --quick
	$(BIN)/python benchmarks/eval_vs_lm_eval.py --quick

docs: $(STAMP)  ## docs/cli.md, the reference of the command line, from the code
	$(BIN)/typer openflan.cli.main utils docs --name openflan --output docs/cli.md

$(STAMP): pyproject.toml constraints.txt
	@echo "installing into $(VENV) ..."
	@began=$$(date +%s); \
	$(PYTHON) -m venv $(VENV) && \
	$(BIN)/pip install -q --upgrade pip && \
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]" && \
	touch $(STAMP) && \
	echo "installed in $$(( $$(date +%s) - began )) s"

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache
