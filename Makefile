# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
# Tests start hundreds of processes: each reads compiled modules instead of compiling them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test pytest test-pythons test-mlflow test-node-red test-airflow test-brokers test-home-assistant axe lint format lock bench fuzz torture clean \
	binary test-binary deb arm64 test-systemd system
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "Python 3.11 to 3.13 is needed (3.14 is untried); name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY) ## Run the whole line end to end (DATA=file.parquet for real observations)
	$(BIN)/python -m demo $(if $(DATA),--data "$(DATA)") $(if $(OUT),--out "$(OUT)")

# By file: what a file's tests share is made once, and they keep their order.
PYTEST = $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not brokers and not home_assistant" $(ARGS)

test: $(READY) system axe lint ## Everything that must hold: style, types, all tests
	$(PYTEST)

pytest: $(READY)
	$(PYTEST)

test-pythons: $(READY) system axe lint ## The same on every Python of this machine from 3.11 to 3.14
	MAKE="$(MAKE)" tools/test_pythons.sh

test-mlflow: $(READY) ## Tracking against a real MLflow, in an environment of its own (1.5 GB)
	$(PYTHON) -m venv build/mlflow
	build/mlflow/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	build/mlflow/bin/pip install --quiet --disable-pip-version-check 'mlflow>=3.17'
	build/mlflow/bin/pytest -q tests/integration/test_mlflow.py $(ARGS)

test-airflow: $(READY) ## The DAG in a real Airflow, in an environment of its own (0.5 GB)
	$(PYTHON) -m venv build/airflow
	build/airflow/bin/pip install --quiet --disable-pip-version-check 'apache-airflow>=3.3,<4'
	$(BIN)/pytest -q tests/integration/test_airflow.py $(ARGS)

fuzz: $(READY) ## Coverage-guided fuzzing of every parser (SECONDS=30 each), with atheris in build/fuzz
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/fuzz 'atheris>=3,<4'
	PYTHONPATH=build/fuzz:. $(BIN)/python tools/fuzz.py $(or $(SECONDS),30) $(ARGS)

torture: $(READY) system ## The long runs that `make test` leaves out, and random examples
	PROMISE_EXAMPLES=4000 $(BIN)/pytest -q -m "slow or hypothesis" --hypothesis-profile random --timeout 1200 $(ARGS)

# Program each and the Debian package that brings it.
SYSTEM := mosquitto:mosquitto nginx:nginx-light systemd-analyze:systemd strip:binutils chromium:chromium npm:npm

system: ## What tests need besides Python: installed where it is missing
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; wanted=; \
	for pair in $(SYSTEM); do \
		command -v "$${pair%%:*}" >/dev/null || wanted="$$wanted $${pair##*:}"; \
	done; \
	[ -z "$$wanted" ] && exit 0; \
	echo "installing$$wanted (tests use the real thing)"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq </dev/null && \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends \
		$$wanted </dev/null >/dev/null

test-node-red: $(READY) system ## The example flow in a real Node-RED, from npm into build/ (120 MB)
	mkdir -p build/node-red && cp tests/node_red/package.json tests/node_red/package-lock.json build/node-red
	npm ci --prefix build/node-red --silent --no-audit --no-fund --omit=optional
	$(BIN)/pytest -q tests/integration/test_node_red.py

# Of a release that runs on Python 3.13, which it needs; HA_PYTHON names one, or its version.
HOME_ASSISTANT := build/home-assistant
HA_PYTHON ?= 3.13

test-home-assistant: $(READY) system ## What a real Home Assistant shows, in an environment of its own (770 MB)
	tools/home_assistant.sh $(HOME_ASSISTANT) "$(HA_PYTHON)" $(BIN)/uv
	$(BIN)/pytest -q -m home_assistant tests/integration/test_home_assistant.py $(ARGS)

test-brokers: $(READY) system ## The table of brokers: Mosquitto's settings, RabbitMQ from apt, aedes from npm (90 MB)
	tools/brokers.sh build/brokers
	$(BIN)/pytest -q -m brokers tests/integration/test_brokers.py $(ARGS)

AXE := build/axe/node_modules/axe-core/axe.min.js

axe: $(AXE) ## What checks the page's accessibility, from npm (the test skips without it)
$(AXE): tests/axe/package.json tests/axe/package-lock.json
	mkdir -p build/axe && cp $^ build/axe
	-npm ci --prefix build/axe --silent --no-audit --no-fund && touch $@

lint: $(READY) ## Style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(READY) ## Put files into the house style
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

binary: $(READY) ## Build dist/edge-agent (one file) and dist/edge-agent-tree/ (unpacked)
	$(PYTHON) -m venv --clear build/venv
	mkdir -p build && $(BIN)/python tools/base_lock.py requirements.lock > build/base.lock
	build/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r build/base.lock
	rm -f dist/*.deb
	build/venv/bin/pyinstaller --noconfirm --clean --log-level WARN --distpath dist --workpath build/work build.spec

test-binary: deb ## Build program and package and test those, not the source
	$(BIN)/pytest -q tests/integration/test_binary.py tests/integration/test_binary_attacks.py $(ARGS)

deb: binary ## Debian package of the same tree
	tools/deb.sh

arm64: $(READY) ## Build and try the program for Arm in an emulated Debian (root; STATE=state folder)
	tools/arm64.sh $(STATE)

test-systemd: binary ## Install, upgrade, way back under a real systemd (root; CENTRAL=workspace)
	tools/booted.sh $(CENTRAL)

bench: $(READY) ## Measure, beside what a user would pick instead (DATA=file for real weather)
	$(BIN)/python -m bench $(if $(DATA),--data "$(DATA)")

lock: $(READY) ## Bring the one lock file up to pyproject.toml (UPGRADE=1: newest versions too)
	$(BIN)/uv pip compile pyproject.toml --extra trainer --extra s3 --group dev --universal --generate-hashes \
		--no-emit-index-url --python-version 3.11 $(if $(UPGRADE),--upgrade) --quiet \
		--custom-compile-command "make lock" -o requirements.lock

clean: ## Remove what the targets made
	rm -rf $(VENV) build dist demo-output .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
