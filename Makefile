.DEFAULT_GOAL := help
PYTHON ?= python3
SERVE ?=
PYTEST ?=
DATA ?=

.PHONY: help run test setup benchmarks experiments

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: ## set up, index the sample collection the first time, open the chat (options: SERVE="--port 7861")
	@$(PYTHON) -m rag.bootstrap run $(SERVE)

test: ## set up, then ruff, mypy and the tests (options: PYTEST="-k fuse")
	@$(PYTHON) -m rag.bootstrap test $(PYTEST)

setup: ## only set up .venv
	@$(PYTHON) -m rag.bootstrap setup

benchmarks: setup ## write docs/benchmarks.md from the runs in eval/results
	@.venv/bin/python -m eval benchmarks

experiments: setup ## the learning curve on public collections in BEIR layout, for hours (DATA=FOLDER of scifact and others)
	@test -n "$(DATA)" || { echo "say where the collections are: make experiments DATA=FOLDER"; exit 2; }
	@.venv/bin/python -m eval tune $(DATA)/scifact --canary $(DATA)/xquad-en --canary $(DATA)/limit-small \
		--plot docs/learning-curve.svg
