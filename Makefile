# The commands of this project. `make run` and `make test` need Python 3.11 or newer and make, nothing else.
# Variables: PORT (8000), PYTHON (the interpreter for .venv), CHROMIUM_BIN (the browser for the tests).
.PHONY: bench bench-litellm help run test test-services test-all test-python test-serve test-js test-browser test-browsers mutants check check-format check-lint check-types check-django check-secrets check-audit audit licences format lock screenshots install install-dev clean
.DEFAULT_GOAL := help
SHELL := /bin/sh
python := .venv/bin/python
pytest := $(python) -m pytest
# Tests wait more than they compute: for sound that plays, for deadlines, for other processes. So several run on each core;
# a worker that is done takes over from another. Each has a database, a site and a browser of its own.
cores := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
at_once := --dist=worksteal --maxprocesses=8 --numprocesses
# Django's own checks, as on a machine where nothing is set. (tests/settings.py does the same for the tests.)
manage := DEBUG=true PYTHON_DOTENV_DISABLED=1 $(python) manage.py

help:
	@echo "make run            start the site on http://127.0.0.1:8000/ (make run PORT=8001 for another port)"
	@echo "make test           run every test: Python, JavaScript, browser"
	@echo "make test-services  run it as on a server: PostgreSQL, Redis, nginx, four workers, under load"
	@echo "make mutants        switch off one control after another; the tests must notice (takes half an hour)"
	@echo "make test-browsers  the main flow in Firefox and WebKit, through a software sound card"
	@echo "make test-all       the same, and the tests that take many minutes"
	@echo "make bench          what the relay costs, beside others; needs a C compiler"
	@echo "make bench-litellm  the same beside a LiteLLM proxy, which is installed apart"
	@echo "make check          format, lint, types, Django's checks, migrations"
	@echo "make format         put the code into its format"
	@echo "make screenshots    refresh the pictures of the README from a test run"
	@echo "make lock           pin the dependencies of pyproject.toml anew"

run: install
	@$(python) scripts/run.py

install:
	@scripts/venv.sh run

install-dev:
	@scripts/venv.sh dev

# Four parts in this order. Browser tests have a process of their own: once the synchronous Playwright has run in a
# process, no asyncio test can.
test: test-python test-serve test-js test-browser

test-python: install-dev
	$(pytest) tests $(at_once)=$$((2 * $(cores))) --ignore=tests/browser --ignore=tests/serve --ignore=tests/services

# Fewer at once: these start whole sites, some three each, and hold them to deadlines.
test-serve: install-dev
	$(pytest) tests/serve $(at_once)=$$(($(cores) + 1))

# What takes minutes: kill -9 at a hundred points, two hundred people and the like. For releases.
test-all: test test-services
	$(pytest) tests -m long --timeout=3600

# The site as it is deployed: PostgreSQL, Redis and nginx as processes of the tests' own, four workers, forty people.
test-services: install-dev
	scripts/ensure-services
	$(pytest) tests/services --timeout=300

test-js: install-dev
	scripts/test-js

test-browser: install-dev
	CHROMIUM_BIN="$$(scripts/ensure-browser)" && export CHROMIUM_BIN && $(pytest) tests/browser $(at_once)=$(cores) --maxprocesses=4 --ignore=tests/browser/engines --timeout=300 --output test-results --screenshot only-on-failure

# Needs Firefox, WebKitGTK and PulseAudio. As root on Debian it installs them, elsewhere it says what is missing.
test-browsers: install-dev
	scripts/ensure-other-browsers && CHROMIUM_BIN="$$(scripts/ensure-browser)" && export CHROMIUM_BIN && $(pytest) tests/browser/engines --timeout=300 --output test-results/engines

# The product beside other relays, in one interleaved run; writes docs/performance.md.
bench: install-dev
	$(python) bench/compare.py
	$(python) bench/report.py

bench-litellm: install-dev
	$(python) bench/litellm_proxy.py
	$(python) bench/report.py

mutants: install-dev
	$(python) scripts/mutants.py

check: check-format check-lint check-types check-django check-secrets check-audit

check-format: install-dev
	.venv/bin/ruff format --check .

check-lint: install-dev
	.venv/bin/ruff check .

check-types: install-dev
	.venv/bin/mypy

check-django: install-dev
	$(manage) check --fail-level WARNING
	$(manage) makemigrations --check --dry-run

check-secrets: install-dev
	$(python) scripts/find_secrets.py

# Says so, and goes on, where the package index cannot be reached; `make audit` fails there.
check-audit: install-dev
	$(python) scripts/audit.py

audit: install-dev
	$(python) scripts/audit.py --strict

licences: install-dev
	$(python) scripts/licences.py

format: install-dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

screenshots: install-dev
	CHROMIUM_BIN="$$(scripts/ensure-browser)" && export CHROMIUM_BIN && \
	  SCREENSHOTS=docs/images $(pytest) tests/browser -m screenshot --timeout=300

# The run lock takes its versions from the development lock, so that both agree on every package they share.
compile := .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet $(LOCK_OPTIONS)
lock: install-dev
	$(compile) --extra dev --extra scale --extra fast --extra otel -o requirements/dev.lock
	$(compile) -c requirements/dev.lock -o requirements/run.lock
	$(compile) --extra scale --extra fast --extra otel -c requirements/dev.lock -o requirements/scale.lock

clean:
	rm -rf .venv test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
