# Two commands matter: `make demo` runs the whole platform here, `make test` proves it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PORT ?= 4566

.PHONY: help setup demo test security bench fuzz load load-day drills up down deploy lint format requirements clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: ## Install everything into this folder (quick when nothing changed)
	@bash ops/setup.sh

demo: setup ## Run the whole platform here, from deployment to a retrained model; report in build/demo/
	@$(BIN)/paywarden demo

test: setup ## Run every check and every test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint security
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

security: setup ## Ask other people's security rules: one table, and nothing may fail that has no reason
	@bash ops/security/run.sh $(ARGS)

bench: setup ## Run every benchmark beside its peers; table here, rows in build/bench.json
	@bash tests/benchmarks/run.sh

fuzz: setup ## Fuzz the API, deployed to a local cloud of its own, from its OpenAPI document; about an hour
	@bash tests/fuzz/run.sh

load: setup ## Put a local cloud of its own under load, break things meanwhile, and look for lost decisions; 7 minutes
	@$(BIN)/python -m tests.load

load-day: setup ## Play a day's traffic to a local cloud of its own, with a sale and attacks; 10 minutes
	@$(BIN)/python -m tests.load --day

drills: setup ## Break a local cloud of its own in fourteen ways, with a backlog of 100,000; half an hour; rows in build/drills.json
	@$(BIN)/python -m tests.drills

up: setup ## Start the local cloud and deploy to it; it stays until `make down`
	@$(BIN)/paywarden up --port $(PORT)

down: ## End the local cloud and all it started
	@test ! -x $(BIN)/paywarden || $(BIN)/paywarden down --port $(PORT)

deploy: setup ## Deploy to AWS: make deploy ENV=dev
	@npx --no-install cdk deploy --all -c env=$(ENV) $(ARGS)

lint: setup ## Lint, format check and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

requirements: setup ## Pin the requirements anew, with hashes
	@bash ops/requirements.sh

clean: down ## Remove what was built; .venv and node_modules stay
	@rm -rf build cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis
