# Everything that this project does is a target here; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV   := build/venv
PYTHON := $(VENV)/bin/python
SWIFT_FLAGS := --explicit-target-dependency-import-check error
# Swift's build takes CC for its linker driver and passes it flags that gcc does not know.
unexport CC CXX
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# --- building ---------------------------------------------------------------------------------

.PHONY: tools lib gen venv
tools: ## Check that the tools are there; install missing Debian packages when root
	@Scripts/check-tools.sh

lib: tools ## Build build/lib/libdfmerge.so
	@Scripts/build-lib.sh

gen: tools ## Regenerate the header, the ctypes table and the ABI record from Swift
	python3 Scripts/abigen

venv: $(VENV)/.ready ## Make the Python environment for demo, tests and benchmarks

$(VENV)/.ready: Scripts/make-venv.sh Scripts/requirements.txt | tools
	@Scripts/make-venv.sh $(VENV)
	@touch $@

# The package is installed as users get it: a wheel with the library inside.
$(VENV)/.installed: $(VENV)/.ready lib $(shell find bindings/python/src -name '*.py') bindings/python/pyproject.toml
	@echo "installing the dfmerge package"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps --no-build-isolation ./bindings/python
	@touch $@

# --- using ------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.installed ## Merge four fine-tuned digit classifiers and compare with the baselines
	@$(PYTHON) examples/python/digits/demo.py --out build/demo

# --- testing ----------------------------------------------------------------------------------

.PHONY: test test-swift test-python test-abi lint test-long
test: test-swift test-abi test-python lint ## Run every test (under 15 minutes on two cores)
	@echo "all tests passed"

test-swift: tools ## Swift tests; those of the kernels at every CPU level
	swift test $(SWIFT_FLAGS) --parallel
	for level in 2 3; do DFMERGE_CPU_LEVEL=$$level swift test $(SWIFT_FLAGS) --skip-build --filter DFMergeKernelsTests; done

test-abi: $(VENV)/.ready lib ## Header, exported symbols, generated files and CPU levels are right
	Scripts/check-abi.sh
	Scripts/check-levels.py .build/abi/release .build/abi/release/libdfmerge.so
	Scripts/test-c.sh
	$(PYTHON) -m pytest -q Scripts/abigen/tests Scripts/tests

test-python: $(VENV)/.installed ## Python tests on the installed package, not on the source tree
	cd bindings/python && ../../$(PYTHON) -m pytest

lint: $(VENV)/.ready ## Formatters and type checkers, zero findings
	swift format lint --strict -r Sources Tests Package.swift
	$(PYTHON) -m ruff check --config bindings/python/pyproject.toml bindings/python Scripts examples Benchmarks
	cd bindings/python && ../../$(PYTHON) -m mypy src

test-long: $(VENV)/.installed ## Kill a search at 20 random moments, and other long campaigns
	cd bindings/python && ../../$(PYTHON) -m pytest -q --long

# --- measuring --------------------------------------------------------------------------------

.PHONY: bench bench-digits bench-text bench-fisher bench-interpolation bench-search
.PHONY: bench-merge-memory bench-merge-step bench-merge-files bench-merge-plan
bench: bench-fisher bench-digits bench-interpolation bench-search
bench: bench-merge-memory bench-merge-step bench-merge-files bench-merge-plan
bench: ## Every benchmark that needs no data of its own

bench-merge-memory: $(VENV)/.installed ## Bandwidth of merges in memory over STREAM triad: build/bench/merge-memory.json
	$(PYTHON) Benchmarks/merge/in_memory.py

bench-merge-step: $(VENV)/.installed ## A search's merge step against torch, T5-base: build/bench/merge-step.json
	$(PYTHON) Benchmarks/merge/step.py

bench-merge-files: $(VENV)/.installed ## Files to files beside mergekit, 40 GB of disk: build/bench/merge-files.json
	$(PYTHON) Benchmarks/merge/files.py

bench-merge-plan: $(VENV)/.installed ## What plan() predicts against measured: build/bench/merge-plan.json
	$(PYTHON) Benchmarks/merge/plan.py

bench-digits: $(VENV)/.installed ## Five seeds of the digits problem: table and build/bench/digits.json
	$(PYTHON) Benchmarks/digits.py

bench-interpolation: $(VENV)/.installed ## What 3, 5 and 9 Fisher nodes cost and save: build/bench/interpolation.json
	$(PYTHON) Benchmarks/interpolation.py

bench-search: $(VENV)/.installed ## The optimiser beside its peers, 15 minutes: build/bench/search.json
	$(PYTHON) Benchmarks/search/run.py

bench-fisher: $(VENV)/.installed ## Vectorised Fisher estimator against a loop: build/bench/fisher.json
	$(PYTHON) Benchmarks/fisher_estimator.py

DATA ?=
bench-text: $(VENV)/.installed ## Real text tasks, DATA=folder: table and build/bench/text.json
	@test -n "$(DATA)" || { echo "bench-text needs DATA=folder with tasks.json and the tsv files"; exit 2; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r Benchmarks/text/requirements.txt
	$(PYTHON) Benchmarks/text/run.py --data $(DATA)

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf build .build
