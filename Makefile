# Everything that this project does is a target here; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV   := build/venv
PYTHON := $(VENV)/bin/python
PACKAGING := build/packaging
LIBRARY := build/lib/libdfmerge.so
# Stands for the wheel in build/wheel, whose name has the version and the tag.
WHEEL  := build/wheel/.built
SWIFT_FLAGS := --explicit-target-dependency-import-check error
# With the command-line program; scripts that build the library or use the package leave it out.
export DFMERGE_COMMAND := 1
# Swift's build takes CC for its linker driver and passes it flags that gcc does not know.
unexport CC CXX
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# --- building ---------------------------------------------------------------------------------

.PHONY: tools test-tools lib cli gen release-record venv
tools: ## Check that the tools are there; install missing Debian packages when root
	@Scripts/check-tools.sh

test-tools: ## The same for the tools of the tests
	@Scripts/check-tools.sh test

lib: tools ## Build build/lib/libdfmerge.so
	@Scripts/build-lib.sh

cli: tools ## Build the command-line program build/bin/dfmerge
	@Scripts/build-cli.sh

# Newer after `lib` only where it has changed.
$(LIBRARY): lib
	@:

gen: tools ## Regenerate the header, the ctypes table and the ABI record from Swift
	python3 Scripts/abigen

release-record: test-tools ## Freeze the C interface of this version in include/abi/released
	python3 Scripts/abigen --release

venv: $(VENV)/.ready ## Make the Python environment for demo, tests and benchmarks

$(VENV)/.ready: Scripts/make-venv.sh Scripts/requirements.txt | tools
	@Scripts/make-venv.sh $(VENV)
	@touch $@

# The package is installed as users get it: from the repaired wheel, with the library inside.
$(VENV)/.installed: $(VENV)/.ready $(WHEEL)
	@echo "installing the dfmerge wheel"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps --no-index build/wheel/*.whl
	@touch $@

# --- installing -------------------------------------------------------------------------------

.PHONY: install uninstall
# Where: PREFIX, an absolute path; DESTDIR, put in front of it for packaging; LIBDIR within PREFIX.
install: lib cli ## Install library, headers and program: PREFIX=/usr/local, DESTDIR=, LIBDIR=lib
	@Scripts/install.sh install

uninstall: ## Remove what install has put there, with the same variables
	@Scripts/install.sh uninstall

# --- packaging --------------------------------------------------------------------------------

.PHONY: wheel sdist test-wheel test-pythons
wheel: $(WHEEL) ## The Python wheel for every Linux of its tag: build/wheel
	@ls -l build/wheel/*.whl | awk '{ printf "%s: %.1f MB\n", $$NF, $$5 / 1e6 }'

$(WHEEL): $(PACKAGING)/.ready $(LIBRARY) $(shell find bindings/python/src -name '*.py') $(wildcard bindings/python/*.*) \
		Scripts/build-wheel.sh Scripts/check-wheel.py
	@DFMERGE_LIBRARY=$(CURDIR)/$(LIBRARY) Scripts/build-wheel.sh $(PACKAGING) build/wheel
	@touch $@

sdist: $(PACKAGING)/.ready | tools ## The Python sdist, which builds where Swift is: build/sdist
	@Scripts/build-sdist.sh $(PACKAGING) build/sdist
	@ls -l build/sdist/*.tar.gz | awk '{ printf "%s: %.1f MB\n", $$NF, $$5 / 1e6 }'

$(PACKAGING)/.ready: Scripts/requirements-packaging.txt | tools
	@python3 -m venv $(PACKAGING)
	@$(PACKAGING)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-wheel: $(WHEEL) sdist ## Wheel and sdist: same bytes when built again, installs, and refusals
	$(PACKAGING)/bin/python -m pytest -q Scripts/packaging

test-pythons: $(WHEEL) ## The wheel on every CPython 3.10 to 3.13 of this machine, without torch
	Scripts/test-pythons.py build/wheel build/pythons

# --- using ------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.installed ## Merge four fine-tuned digit classifiers and compare with the baselines
	@$(PYTHON) examples/python/digits/demo.py --out build/demo

# --- testing ----------------------------------------------------------------------------------

.PHONY: test test-swift test-python test-abi lint test-long
test: test-swift docs test-swift-example test-abi test-install test-cli test-conformance
test: test-wheel test-python test-pythons lint
test: ## Run every test (under 15 minutes on two cores)
	@echo "all tests passed"

test-swift: tools ## Swift tests; those of the kernels at every CPU level
	swift test $(SWIFT_FLAGS) --parallel
	for level in 2 3; do DFMERGE_CPU_LEVEL=$$level swift test $(SWIFT_FLAGS) --skip-build --filter DFMergeKernelsTests; done

test-abi: $(VENV)/.ready test-tools lib ## Header, exported symbols, generated files and CPU levels are right
	Scripts/check-abi.sh
	Scripts/check-levels.py .build/abi/release .build/abi/release/libdfmerge.so
	$(PYTHON) -m pytest -q Scripts/abigen/tests Scripts/tests

.PHONY: test-cli
test-cli: $(VENV)/.ready cli ## The command-line program from end to end, and its guide as printed
	$(PYTHON) -m pytest -q Tests/cli

.PHONY: test-install
test-install: test-tools lib cli ## C and C++ as users have them: an installed prefix, every example, the wrapper
	Scripts/check-cpp.py
	Scripts/test-install.sh

# Tests that two processes may run at once: they time nothing and send no signals.
ARITHMETIC := tests/test_method*.py tests/test_merge_same_bytes.py tests/test_tensor_settings.py
test-python: $(VENV)/.installed ## Quickstart and Python tests on the installed wheel, with Swift hidden
	Scripts/without-swift.sh $(PYTHON) examples/python/quickstart.py
	cd bindings/python && ../../Scripts/without-swift.sh ../../$(PYTHON) -m pytest -rs --no-skips -n 2 --dist loadfile $(ARITHMETIC)
	cd bindings/python && ../../Scripts/without-swift.sh ../../$(PYTHON) -m pytest -rs --no-skips $(addprefix --ignore-glob=,$(ARITHMETIC))

lint: $(VENV)/.ready ## Formatters and type checkers, zero findings
	swift format lint --strict -r Sources Tests examples/swift Package.swift
	$(PYTHON) -m ruff check --config bindings/python/pyproject.toml bindings/python Scripts examples Benchmarks Tests/cli
	cd bindings/python && ../../$(PYTHON) -m mypy src

.PHONY: test-swift-example docs
test-swift-example: tools ## The Swift example by path and, built, tested and run, by version
	Scripts/test-swift-package.sh

docs: tools ## Documentation of the Swift package, warnings as errors: build/docs
	Scripts/build-docs.sh

test-long: $(VENV)/.installed sdist ## Kill a search at 20 random moments, and other long campaigns
	cd bindings/python && ../../$(PYTHON) -m pytest -q --long
	$(PACKAGING)/bin/python -m pytest -q --long Scripts/packaging
	Scripts/test-pythons.py --whole build/wheel build/pythons

# The C interface, called by a program that is generated from its record.
.PHONY: test-conformance test-conformance-long
test-conformance: $(VENV)/.ready test-tools lib ## Every C function with everything that can be wrong
	Scripts/test-conformance.sh
	$(PYTHON) -m pytest -q Scripts/conformance/tests

test-long: test-conformance-long
test-conformance-long: test-tools ## The same with the library built by the address sanitizer
	Scripts/test-conformance.sh --long

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

.PHONY: bench-methods
bench: bench-methods
bench-methods: $(VENV)/.installed ## Every method over the bound of its bytes, and its memory: build/bench/methods.json
	$(PYTHON) Benchmarks/methods/run.py

.PHONY: bench-peers
bench: bench-peers
bench-peers: $(VENV)/.installed ## Methods beside mergekit, peft and fusion_bench: build/bench/peers.json
	$(PYTHON) Benchmarks/peers/run.py

.PHONY: bench-door
bench: bench-door
bench-door: $(VENV)/.installed ## Callbacks, import, dlopen, handles: build/bench/door.json
	$(PYTHON) Benchmarks/door/run.py

bench-digits: $(VENV)/.installed ## Five seeds of the digits problem: table and build/bench/digits.json
	$(PYTHON) Benchmarks/digits.py

bench-interpolation: $(VENV)/.installed ## What 3, 5 and 9 Fisher nodes cost and save: build/bench/interpolation.json
	$(PYTHON) Benchmarks/interpolation.py

bench-search: $(VENV)/.installed ## The optimiser beside its peers, 15 minutes: build/bench/search.json
	$(PYTHON) Benchmarks/search/run.py

.PHONY: bench-interrupts
bench: bench-interrupts
bench-interrupts: $(VENV)/.installed ## From Ctrl-C to KeyboardInterrupt, in every phase
	$(PYTHON) Benchmarks/interrupts/latency.py

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
