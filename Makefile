# Two commands need no more than Python 3.11, 3.12 or 3.13 and a C compiler: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
COMPUTES := tests/unit tests/policy tests/contract tests/integration/test_verify.py
CHECKED := server rules model tests proto/generate.py proto/check.py proto/image.py clients/python clients/delivery

# durable_rules calls a function that Python 3.13 renamed; its own build ignores CFLAGS.
ifeq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 13))'),True)
export CPPFLAGS += -DPyEval_CallObject=PyObject_CallObject
endif

.PHONY: demo test check native pure compiled clients delivery chaos proto bench lock clean

demo: .venv/installed
	$(BIN)/keepwell demo

# Tests of what is killed, and of clients that outlive it, mostly wait for the next process to start, so all others run beside them; what they
# say comes after.
test: .venv/installed
	@said=$$(mktemp); trap 'kill $$waiting' INT TERM; \
	$(BIN)/python -m pytest tests/faults tests/clients >$$said 2>&1 & waiting=$$!; \
	$(BIN)/python -m pytest --ignore=tests/faults --ignore=tests/clients; others=$$?; \
	wait $$waiting; killing=$$?; cat $$said; rm $$said; exit $$((others || killing))

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

# What computes, compiled to C from the same sources (the list is in pyproject.toml), beside them; the wheel in build/ holds both.
native: build/native

build/native: .venv/installed pyproject.toml $(wildcard model/*.py model/*/*.py rules/*.py server/*.py server/*/*.py)
	HATCH_BUILD_HOOKS_ENABLE=true $(BIN)/python -m hatchling build --target wheel --directory build
	touch $@

# The compiled modules put through the tests of what they compute, in a copy: those of `make test` go on with the sources. After `make native`,
# `make test` puts them through all.
compiled: .venv/installed
	rm -rf build/compiled && mkdir -p build/compiled
	git ls-files -z --cached --others --exclude-standard | tar --null --files-from - -cf - | tar -xf - -C build/compiled
	cd build/compiled && HATCH_BUILD_HOOKS_ENABLE=true $(CURDIR)/$(BIN)/python -m hatchling build --target wheel --directory build
	cd build/compiled && $(CURDIR)/$(BIN)/python -m pytest $(COMPUTES)
	rm -rf build/compiled

# Back to the sources.
pure:
	find model rules server -name '*.so' -delete
	rm -rf build *__mypyc*.so

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

clean: pure
	rm -rf .venv .venv-codegen .keepwell
