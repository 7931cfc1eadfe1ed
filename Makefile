# Every verb that a person needs; each is one line that also works by hand. Everything a verb needs it installs itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
WORLD := PYTHONPATH=local python3 -m bitagent_local.demo

.PHONY: help demo demo-altered demo-down demo-status test test-unit test-integration test-e2e fuzz lint format crds lock images env toolchain clean

help: ## Lists the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Shows the whole mission on this machine (or on the cluster of KUBECONFIG) and leaves it running
	@$(WORLD) up

demo-altered: ## Beside the running demo: a model that rewords questions, and the same tasks as published and altered
	@$(WORLD) altered

demo-status: ## Shows what the demo is doing now
	@$(WORLD) status

demo-down: ## Removes everything that the demo made
	@$(WORLD) down

test: ## Unit, integration and end-to-end tests; installs what they need
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-integration
	@$(MAKE) --no-print-directory test-e2e

test-unit: env toolchain ## Pure tests, and those that need no more than a loopback socket or one engine
	$(PY) -m pytest tests/unit tests/golden -n 2 --dist loadfile

test-integration: env toolchain ## Operator and validator against a real etcd and kube-apiserver
	$(PY) -m pytest tests/integration

test-e2e: env toolchain ## The whole on a real kubelet, with real images and real vLLM
	$(PY) -m pytest tests/e2e -x

fuzz: env toolchain ## The property tests on new examples, ROUNDS times (5); what fails here becomes an example in a test
	for round in $$(seq $(or $(ROUNDS),5)); do HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/unit -m hypothesis -n 2 -q || exit 1; done

lint: env ## Style, types, import rules, generated files
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m bitagent_crds.generate . --check
	$(PY) charts/sync.py --check
	scripts/lock.sh --check

format: env ## Formats and sorts imports
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

crds: env ## Writes the CustomResourceDefinitions from the models, and the chart's copies
	$(PY) -m bitagent_crds.generate .
	$(PY) charts/sync.py

lock: ## Resolves pyproject.toml anew and exports requirements/*.txt
	scripts/lock.sh

images: ## Builds the images from their Dockerfiles, the evaluator's full one for CPUs too but not the one for GPUs, and smoke-tests them
	@$(WORLD) images

env: ## Makes .venv from the locks
	@scripts/env.sh

toolchain: ## Installs the Debian packages and builds the local Kubernetes binary, where missing
	@$(WORLD) toolchain

clean: ## Removes the environment and caches inside the checkout
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis uv.lock
