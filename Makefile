# The project's commands. Each installs what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
WORLD := PYTHONPATH=local python3 -m bitagent_local.demo
# Without bytecode every process compiles what it imports, and pytest rewrites all tests (10 s) in each of its processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo demo-altered demo-subnets demo-fleet demo-down demo-status demo-world test test-unit test-local test-integration test-e2e test-ecosystem fuzz lint \
  release commands format crds formats metrics decisions docs lock locks-check images env bytecode toolchain clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the whole mission on this machine (or on KUBECONFIG's cluster) and leave it running
	@$(WORLD) up

demo-altered: ## Add a rewriter and two rounds of the same tasks, as published and altered, to the demo
	@$(WORLD) altered

demo-subnets: ## Run the mechanisms of real subnets beside or without the demo, and plot what their miners earn
	@$(WORLD) subnets

demo-fleet: ## Apply three validators from a git repository, and ask the dashboards' queries of a Prometheus
	@$(WORLD) fleet

demo-world: ## Run only the simulated chain and hub, without the product
	@$(WORLD) world

demo-status: ## Show the demo's state
	@$(WORLD) status

demo-down: ## Remove what the demo created: the local node, or from KUBECONFIG's cluster (asks; YES=1 agrees)
	@$(WORLD) down

test: ## Run the unit, integration and end-to-end tests
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-integration
	@$(MAKE) --no-print-directory test-e2e

test-unit: env toolchain bytecode ## Run the tests that need only a loopback socket or one engine
	$(PY) -m pytest tests/unit tests/attacks tests/golden local/tests -n 2 --dist loadfile --no-loadscope-reorder

test-local: env toolchain bytecode ## Run only the local world's own tests (test-unit includes them)
	$(PY) -m pytest local/tests -n 2 --dist loadfile

test-integration: env toolchain bytecode ## Run operator and validator against a real etcd and kube-apiserver
	$(PY) -m pytest tests/integration -n 5

test-e2e: env toolchain bytecode ## Run everything on a real kubelet, with real images and real vLLM
	$(PY) -m pytest tests/e2e -x

test-ecosystem: env toolchain bytecode ## Run with real Kueue, Flux and Argo CD, which are built first (minutes, once)
	$(PY) -m pytest tests/ecosystem -x

fuzz: env toolchain bytecode ## Run the property tests on new examples, ROUNDS times (5), and the long tests of the operator
	for round in $$(seq $(or $(ROUNDS),5)); do HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/unit local/tests -m hypothesis -n 2 -q || exit 1; done
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/integration/operator/test_random_objects.py tests/integration/operator/test_crash_points.py -n 4 -q

lint: env ## Check style, types, import rules and generated files
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --config-file local/pyproject.toml
	.venv/bin/lint-imports
	.venv/bin/lint-imports --config local/pyproject.toml
	$(PY) -m bitagent_crds.generate . --check
	$(PY) charts/sync.py --check
	$(PY) -m bitagent_evaluator.formats_page . --check
	$(PY) scripts/metrics_page.py . --check
	$(PY) -m bitagent_cli.page . --check
	$(PY) charts/dashboards.py --check
	$(PY) scripts/decisions_page.py . --check
	$(MAKE) --no-print-directory docs
	scripts/lock.sh --check

format: env ## Format the code and sort imports
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

crds: env ## Write the CustomResourceDefinitions and docs/reference.md from the models
	$(PY) -m bitagent_crds.generate .
	$(PY) charts/sync.py

metrics: env ## Write docs/metrics.md from the registries of operator and validator
	$(PY) scripts/metrics_page.py .

dashboards: env ## Write the dashboards of the operator's chart from charts/dashboards.py
	$(PY) charts/dashboards.py

commands: env ## Write docs/commands.md from the command line's parser
	$(PY) -m bitagent_cli.page .

formats: env ## Write docs/formats.md from the code that reads models, rows and answers
	$(PY) -m bitagent_evaluator.formats_page .

decisions: env ## Write the list of decisions
	$(PY) scripts/decisions_page.py .

docs: env ## Build the documents as a site in build/site, and check their links
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --clean

lock: ## Resolve pyproject.toml and export requirements/*.txt
	scripts/lock.sh

locks-check: ## Check that every lock can still be installed from clean, without downloading it
	scripts/locks_check.sh

release: env toolchain ## Build wheel, charts, bills of materials, images (IMAGES=none leaves them out) and SHA256SUMS into dist/
	@$(PY) -m scripts.release dist --images $(or $(IMAGES),all)

images: ## Build and smoke-test all images except the evaluator's for GPUs
	@$(WORLD) images

env: ## Create .venv from the locks
	@scripts/env.sh

bytecode: env
	@$(PY) -m compileall -q crds kube wire evaluator/bitagent_evaluator operator validator miner leaderboard cli local/bitagent_local

toolchain: ## Install the Debian packages and build the local Kubernetes binary, where missing
	@$(WORLD) toolchain

clean: ## Remove the environment and caches inside the checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis uv.lock
