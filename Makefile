# Every target sets up what it needs first; repeating the set-up takes about a second.
BIN := .venv/bin
export PYTHONUNBUFFERED := 1

ARGS ?=

.PHONY: help setup demo test test-crowded chaos check format bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

setup: ## system packages, .venv and Python packages
	@./setup.sh

demo: setup ## train a small web agent on this machine's CPU, from services to learning curve
	@$(BIN)/rl-loop demo

test: export WITH_DOCKER := 1
test: setup check ## all tests: real Chromium, real vLLM, crash and resume
	@$(BIN)/python -m scripts.suite

test-crowded: setup ## tests beside two busy loops per core (some: make test-crowded ARGS=tests/agent)
	@$(BIN)/python -m scripts.crowd $(BIN)/python -m scripts.suite $(ARGS)

chaos: export WITH_DOCKER := 1
chaos: setup ## the slow tests: the whole stack with its parts killed, containers, long runs
	@$(BIN)/python -m pytest -m chaos && $(BIN)/python -m pytest tests/integration

check: setup ## formatting, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check --quiet . && $(BIN)/ty check --quiet

format: setup ## put the code into its form, and write docs/map.md
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix . && $(BIN)/python -m scripts.map

bench: setup ## the published numbers, each beside what it must be (about two hours; one: make bench-pool)
	@status=0; for name in pool pool_soak "pool_soak --tiers" rollout rollout_scale recording judging dashboard dashboard.live widgets orchestration learning; do $(BIN)/python -m benchmarks.$$name || status=1; done; exit $$status

bench-%: setup
	@$(BIN)/python -m benchmarks.$*
