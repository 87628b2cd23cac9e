# Two commands need no more than Python 3.11, 3.12 or 3.13 and a C compiler: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
CHECKED := server rules model tests proto/generate.py proto/check.py proto/image.py clients/python clients/delivery

# durable_rules calls a function that Python 3.13 renamed; its own build ignores CFLAGS.
ifeq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 13))'),True)
export CPPFLAGS += -DPyEval_CallObject=PyObject_CallObject
endif

.PHONY: demo test check clients delivery chaos proto bench lock clean

demo: .venv/installed
	$(BIN)/keepwell demo

test: .venv/installed
	$(BIN)/python -m pytest

# What has to be clean before a commit, besides the tests.
check: .venv/installed
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check
	$(BIN)/python proto/check.py
	$(BIN)/keepwell policy check rules/policies/default.yaml
	$(BIN)/keepwell policy test rules/policies/default.yaml

# The clients as others get them: the TypeScript one is generated, built and tested (needs Node 20 or newer), the Python one is installed
# on its own with the oldest libraries that it allows.
clients: .venv/installed
	$(BIN)/python proto/image.py clients/typescript/contract.binpb
	cd clients/typescript && npm ci --no-audit --no-fund && PATH="$(CURDIR)/$(BIN):$$PATH" npm run generate && npm run build && npm test
	$(BIN)/python -m pytest -m index

# Delivery workers as processes of their own, killed and restarted.
delivery: .venv/installed
	$(BIN)/python -m pytest -m workers tests/delivery

# Two minutes of contacts being delivered while workers, server and store are killed at random; `make delivery` has a short version.
chaos: .venv/installed
	$(BIN)/keepwell demo --deliver --chaos 120

proto: .venv/installed
	$(BIN)/python proto/generate.py

bench: .venv/installed
	$(BIN)/python -m tests.benchmark

lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-emit-index-url --no-emit-find-links \
	  --no-emit-package keepwell-client --no-emit-package keepwell-delivery --no-annotate --no-header --generate-hashes pyproject.toml --output-file requirements.lock

.venv/installed: requirements.lock pyproject.toml clients/python/pyproject.toml clients/delivery/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable clients/python --editable clients/delivery --editable .
	touch $@

clean:
	rm -rf .venv .venv-codegen .keepwell
