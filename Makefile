# xray_mining: `make help` lists the targets. Each is one line that calls uv, the command line or pytest.
SHELL := bash
BIN := .venv/bin
STUDY ?= pipelines/studies/template.yaml
ARCHIVE ?= phantom-archive
WORKSPACE ?= workspace
# Taken as wheels or not at all: none of them is worth a compiler on a newcomer's machine.
DECODERS := dicomsdl python-gdcm pyjpegls
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: help setup system demo study test test-lowest soak bench lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 13

setup: .venv/.ready ## make .venv with everything pinned in constraints.txt

.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $${PYTHON:-python3} -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode --editable '.[weights,excel,slurm,dev]'
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode $(addprefix --only-binary ,$(DECODERS)) --editable '.[decoders]' || echo "some optional decoders have no wheel here; the others are used"
	touch $@

system: ## install the Debian packages that tests use, where this user may
	@bash tests/system_packages.sh

demo: setup ## write a phantom archive, run the whole study on it, print the answer and the report's path
	$(BIN)/xray-mining phantom phantom-archive --patients 2000 --seed 1 --if-absent --plant repeats,duplicates
	$(BIN)/xray-mining run demo --archive phantom-archive --workspace $(WORKSPACE)

study: setup ## run STUDY=pipelines/studies/….yaml on ARCHIVE=dir into WORKSPACE=dir
	$(BIN)/xray-mining run $(STUDY) --archive $(ARCHIVE) --workspace $(WORKSPACE)

test: setup system ## run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-lowest: .venv-lowest/.ready system ## run all tests with the lowest stated versions, without optional decoders
	.venv-lowest/bin/python -m pytest -n 2 --dist loadfile

# As `setup`, with the pins of constraints-lowest.txt in place of those in constraints.txt. torch and polars state the
# exact versions of the other packages that are dropped here.
.venv-lowest/.ready: pyproject.toml constraints.txt constraints-lowest.txt
	test -x .venv-lowest/bin/python || $${PYTHON:-python3} -m venv .venv-lowest
	test -x .venv-lowest/bin/uv || .venv-lowest/bin/python -m pip install --quiet uv
	sed -E 's/^(.*==).*/^\1/' constraints-lowest.txt | grep -vE -e '^(triton|cuda-|nvidia-|polars-runtime-)' -f - constraints.txt | cat - constraints-lowest.txt > .venv-lowest/constraints.txt
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --constraint .venv-lowest/constraints.txt --compile-bytecode --editable '.[weights,excel,slurm,dev]'
	touch $@

soak: setup system ## the long versions: many kills, damaged files, full coverage simulations, new examples of laws
	$(BIN)/python -m pytest -n 2 -m soak
	$(BIN)/python -m pytest -n 2 --dist loadfile --hypothesis-profile=default

bench: setup ## speed as ratios against named rivals, in one run
	for each in tests/benchmarks/bench_*.py; do $(BIN)/python $$each || exit 1; done

bench-%: setup
	$(BIN)/python tests/benchmarks/bench_$*.py

lint: setup ## ruff, types, import layers, SQL, spelling
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/ty check --error-on-warning
	$(BIN)/lint-imports --no-logo
	$(BIN)/sqlfluff lint --processes 2 sql
	$(BIN)/typos

clean: ## remove what the targets made here, but no workspace
	rm -rf .venv .venv-lowest .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build phantom-archive
