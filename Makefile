# Two commands to begin with: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
UV := $(VENV)/bin/uv
TAG ?= local
export BENTOML_DO_NOT_TRACK := true
export OPENBLAS_NUM_THREADS := 1

# Each is a Debian package and the command that it brings.
TEST_PACKAGES := redis-server:redis-server chromium:chromium openjdk-17-jre-headless:java

SITE_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

OPENAPI := mkdir -p build && $(VENV)/bin/python -c 'import json; from serving.api.app import create_app; print(json.dumps(create_app().openapi()))' >build/openapi.json

.PHONY: help setup packages site demo test stack-test api-client lint format bench screenshots images pin schema deploy lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed frontend/node_modules/.installed ## the environments: .venv and node_modules

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11 (apt-get install python3.11 python3.11-venv) or name another with PYTHON=…" >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(call install_packages,python3.11-venv); $(PYTHON) -m venv $(VENV); }
	@test -x $(UV) || $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	$(UV) pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --editable .
	@touch $@

frontend/node_modules/.installed: frontend/package-lock.json frontend/package.json
	@command -v node >/dev/null || { echo "error: Node.js is missing: install Node 20 or newer (https://nodejs.org), then run make again" >&2; exit 1; }
	@node -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("error: Node.js " + process.version + " is too old: install Node 20 or newer, then run make again"); process.exit(1) }'
	cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

site: serving/site/index.html ## the website, built into serving/site

serving/site/index.html: frontend/node_modules/.installed $(SITE_SOURCES)
	cd frontend && npm run --silent build
	@touch $@

define install_packages
command -v apt-get >/dev/null || { echo "error: $(1) is missing, and there is no apt-get to install it with: install it yourself" >&2; exit 1; }; \
if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
$$SUDO apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq --no-install-recommends $(1) >/dev/null
endef

packages: # the Debian packages that tests need
	@for entry in $(TEST_PACKAGES); do \
		command -v $${entry#*:} >/dev/null || { $(call install_packages,$${entry%%:*}); }; \
	done

demo: $(VENV)/.installed site ## from nothing to a ranked wall on http://localhost:3000 (ARGS=--no-serve, ARGS=--fresh)
	@$(VENV)/bin/photo-recommender demo $(ARGS)

api-client: setup ## the site's types of the API (frontend/src/api/schema.ts), from the service's OpenAPI document
	$(OPENAPI)
	cd frontend && npx openapi-typescript ../build/openapi.json -o src/api/schema.ts

lint: setup ## style, types, import layers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(OPENAPI)
	cd frontend && npx openapi-typescript ../build/openapi.json -o src/api/schema.ts --check >/dev/null || { echo "error: frontend/src/api/schema.ts is not what the service offers: run make api-client" >&2; exit 1; }
	cd frontend && npm run --silent check

test: packages setup site lint ## everything that must hold; at most 20 minutes on 2 cores
	cd frontend && npm test --silent
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile $(ARGS)

stack-test: packages setup site ## the long version of what `make test` does in short: more kills, every combination of backends
	DEMO_KILLS=10 PULL_KILLS=100 PULL_MATRIX=full $(VENV)/bin/python -m pytest -v tests/stack tests/end_to_end/test_kill.py $(ARGS)

format: setup ## rewrite the code in its one format
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.installed site ## measured claims: all, or NAME=demo_time
	@for script in $(if $(NAME),benchmarks/$(NAME).py,$(sort $(wildcard benchmarks/[a-z]*.py))); do $(VENV)/bin/python $$script; done

screenshots: setup packages site ## pictures of each state of the site, from a demo, into docs/images/site
	$(VENV)/bin/python benchmarks/_site_screenshots.py --small $(ARGS)

images: setup site ## the images of service, workers and jobs, and MLflow (TAG=local); needs Docker
	@command -v docker >/dev/null || { echo "error: docker is missing: install Docker 24 or newer (https://docs.docker.com/engine/install)" >&2; exit 1; }
	docker build -f docker/worker.Dockerfile -t photo-recommender-worker:$(TAG) .
	docker build -f docker/mlflow.Dockerfile -t photo-recommender-mlflow:$(TAG) .
	export BENTOML_HOME=$(CURDIR)/build/bentoml; \
	mkdir -p $$BENTOML_HOME && $(VENV)/bin/bentoml build && \
	PATH=$(CURDIR)/$(VENV)/bin:$$PATH bentoml containerize photo-recommender:latest -t photo-recommender-bento:$(TAG)
	docker build -f docker/service.Dockerfile --build-arg BENTO=photo-recommender-bento:$(TAG) -t photo-recommender-service:$(TAG) docker

pin: $(VENV)/.installed ## digests of base images and revisions of actions, asked from where they come from
	$(VENV)/bin/python docker/pin.py

schema: ## what the AWS provider knows of the types in terraform/ (terraform/schema/aws.json), from npm
	mkdir -p build && cd build && rm -f cdktf-provider-aws-*.tgz && npm pack --silent @cdktf/provider-aws >/dev/null
	$(PYTHON) terraform/schema/extract.py build/cdktf-provider-aws-*.tgz

deploy: $(VENV)/.installed ## this checkout to AWS, by hand: ENV=dev or ENV=prod
	deploy/deploy.sh $(ENV)

LOCK := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"

lock: ## renew the locks from pyproject.toml: everything, what runs in production, and what the MLflow server needs
	$(LOCK) --group dev pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml docker/build.in -c requirements.lock -o requirements-run.lock
	$(LOCK) docker/mlflow.in -c requirements-run.lock -o docker/mlflow.lock

clean: ## remove everything that make made
	rm -rf $(VENV) frontend/node_modules serving/site build var *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
