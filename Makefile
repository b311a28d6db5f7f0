# Everything runs from locked environments under .venv; nothing outside this folder is changed.
PYTHON ?= python3
UV := .venv/uv/bin/uv
PY := .venv/dev/bin/python
LOCKED := layers/dependencies/requirements.txt $(wildcard requirements/*.txt)
# Commands that start often (the SAM CLI above all) are several times slower without their bytecode.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo local simulator live cost browser schemas test scan audit bench chaos dashboard mutations lint format lock release-snapshot clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/dev/.ready .venv/engine/.ready .venv/lambda/.ready .venv/sam/.ready .venv/cli/.ready .venv/scan/.ready ## create the locked environments

.venv/uv/.ready: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed; $(PYTHON) is {sys.version.split()[0]}. Name another one: make PYTHON=python3.13")'
	@$(PYTHON) -m venv --clear .venv/uv
	@.venv/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/%/.ready: requirements/%.txt .venv/uv/.ready
	@echo "environment .venv/$* from $<"
	@$(UV) venv --quiet --clear --python $(PYTHON) .venv/$*
	@$(UV) pip sync --quiet --require-hashes --python .venv/$* $<
	@touch $@

demo: setup ## run the whole pipeline here, offline; your own pictures: make demo FILES="a.jpg b.png" PROMPT="..." MODEL=...
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.demo $${PROMPT:+--prompt="$$PROMPT"} $${MODEL:+--model="$$MODEL"} -- $(FILES)

local: setup ## keep the stack running here and print how to use it
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.serve

simulator: .venv/dev/.ready ## run the ToAPIs simulator alone
	@$(PY) -m local.simulator --port $(or $(PORT),8123) --files-port $(or $(FILES_PORT),8124)

live: .venv/dev/.ready ## one text-to-image and one edit against the real service, with TOAPIS_API_KEY
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.live

cost: .venv/dev/.ready ## what dropping files would cost, offline: make cost FILES="folder a.jpg" PRESET=poster.json
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.cost $${PRESET:+--preset="$$PRESET"} $${MODEL:+--model="$$MODEL"} $${N:+--n="$$N"} \
	  $${RESOLUTION:+--resolution="$$RESOLUTION"} $${QUALITY:+--quality="$$QUALITY"} $${BUCKET:+--bucket="$$BUCKET"} \
	  $${ASSUMED_PRICE_USD:+--assumed-price-usd="$$ASSUMED_PRICE_USD"} $${SUBMITS_PER_SECOND:+--submits-per-second="$$SUBMITS_PER_SECOND"} -- $(FILES)

browser: .venv/dev/.ready ## render sample result pages; with a Chromium on the PATH, check them and save docs/pictures
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.browser

schemas: .venv/dev/.ready ## write docs/schemas from the models; a test compares
	@PYTHONPATH=layers/bucketbrush $(PY) -m local.schemas

test: setup lint ## lint, types and every layer of tests
	@$(PY) -m pytest -n 2 $(PYTEST)

scan: setup ## what checkov, cfn-lint and bandit find, offline, and what is suppressed with which reason
	@$(PY) -m tests.template.scan

# --strict, because an index that says nothing about a package would otherwise pass for one without advisories.
audit: .venv/scan/.ready ## ask PyPI for advisories about all locked packages; needs the network
	@failed=0; for file in $(LOCKED); do \
	  echo "$$file"; \
	  .venv/scan/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$file || failed=1; \
	done; exit $$failed

bench: setup ## measure cold starts, storing, bursts, pace, looks and limits, against goals: docs/performance.md; one section: make bench SECTION=cold
	@PYTHONPATH=layers/bucketbrush $(PY) -m tests.bench $(SECTION)

chaos: setup ## a thousand jobs through seeded faults and crashes, then each permission taken away, then every crash point; repeat a run's plan: make chaos JOBS=100 SEED=7
	@EXAMPLES=10000 $(PY) -m pytest -n 2 -m properties tests/unit
	@$(PY) -m tests.chaos --jobs $(or $(JOBS),1000) $(SEED:%=--seed %)
	@$(PY) -m tests.permissions
	@CRASH=all $(PY) -m pytest -n 2 tests/crash

dashboard: setup ## draw the template's dashboard after a chaos run: docs/pictures/dashboard.png; also JOBS=300 SEED=8
	@$(PY) -m tests.chaos --jobs $(or $(JOBS),200) --seed $(or $(SEED),7) --dashboard docs/pictures/dashboard.png

mutations: setup ## break each promise's mechanism on purpose; a test must notice every time
	@$(PY) -m tests.mutations $(TIMES:%=--times=%)

lint: .venv/dev/.ready ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: .venv/dev/.ready ## let ruff format the code and sort imports
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: .venv/uv/.ready ## compile the locked requirements anew from pyproject.toml
	@compile="$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS) pyproject.toml"; \
	set -e; $$compile -o layers/dependencies/requirements.txt; \
	$$compile --group dev -c layers/dependencies/requirements.txt -o requirements/dev.txt; \
	for group in uv engine lambda sam cli scan; do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS) --group $$group -o requirements/$$group.txt; \
	done

release-snapshot: .venv/dev/.ready ## after a release: keep what it deploys for the test of the next update (REVISION=v0.2.0)
	@$(PY) -m tests.upgrade.release $(REVISION)

clean: ## remove what was built (not the environments)
	rm -rf build .aws-sam .mypy_cache .pytest_cache .ruff_cache
