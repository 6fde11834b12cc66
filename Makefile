# Everything that a fresh machine needs is set up here: a virtual environment, and Debian's packages where root allows it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS_READY := $(VENV)/.run
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs
# The machine's pip fills the environment: to put one into it would take as long as half of what running needs.
PIP = $$(test -x $(BIN)/pip && echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python) install -q \
	--disable-pip-version-check --no-compile
# Modules are compiled once, not for each of the many programs that tests start, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo docs pictures test test-all quick lowest lint pins dist try-dist zipapp try-zipapp try-debian image sbom differential fuzz bench bench-scale demo-snapshot man clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

demo: $(RUNS_READY)  ## replay the recorded case: observed beside predicted
	@$(BIN)/vnicheck demo

# Much of the time is waiting for what never comes, so there are more workers than cores; each has its own namespaces,
# processes, folders and ports. A file stays with one worker: what its tests share is made once.
WORKERS ?= 5
PYTEST_RUN = $(BIN)/python -m pytest -q --tx '$(WORKERS)*popen//python=tests/worker.sh' --dist loadfile --no-loadscope-reorder
test: $(READY) packages  ## all checks: lint, and the tests, a sample of what is long by nature (PYTEST='-k name')
	@$(MAKE) --no-print-directory -j2 lint tests

test-all: $(READY) packages  ## all checks and every test (before an issue is resolved)
	@$(MAKE) --no-print-directory -j2 lint tests LONG=--long

.PHONY: tests
tests:  # a fresh clone's tests are compiled once, and not by each worker
	@test -e tests/__pycache__ || $(BIN)/python -m pytest -qq --collect-only >/dev/null 2>&1 || true
	@$(PYTEST_RUN) $(LONG) $(PYTEST)

PURE := analysis engine fabric kernel model redaction rules
quick: $(READY)  ## lint, and the tests of the pure folders, a sample of recorded cases: under a minute
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest -q -n 2 --quick -m 'not root' $(addprefix tests/,$(PURE)) --ignore=tests/analysis/test_dask_cluster.py

LOWEST := .venv-lowest
lowest: $(READY)  ## the tests of the pure folders with the oldest releases that pyproject.toml allows
	@$(BIN)/python -m tests.lowest >$(VENV)/lowest.txt
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install -q --disable-pip-version-check -r $(VENV)/lowest.txt hypothesis pytest pytest-timeout pytest-xdist
	@$(LOWEST)/bin/python -m pytest -q -n 2 --dist loadfile -m 'not root' $(addprefix tests/,$(PURE)) --ignore=tests/analysis/test_dask_cluster.py

SITE := .site
docs: $(DOCS_READY)  ## build the documentation's site into .site/: no warning, no dead link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean
	@$(BIN)/python -m website.check $(SITE)
	@echo 'read $(SITE)/index.html; with its search: $(PYTHON) -m http.server -d $(SITE)'

pictures: $(RUNS_READY)  ## draw docs/pictures/report.svg anew, from what the program prints
	@$(BIN)/python -m website.pictures

RELEASE := .venv-release
$(RELEASE)/.ready: requirements/release.txt
	@test -x $(RELEASE)/bin/python || $(PYTHON) -m venv $(RELEASE)
	@$(RELEASE)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/release.txt
	@touch $@

dist: $(RELEASE)/.ready  ## build the sdist, and the wheel from it, into dist/
	@rm -f dist/*.whl dist/*.tar.gz
	@$(RELEASE)/bin/python -m build --no-isolation . >/dev/null && ls dist/*.whl dist/*.tar.gz

try-dist: dist  ## try the wheel in an environment that has nothing else
	@sh release/try-wheel.sh $(PYTHON) dist/*.whl

ZIPAPP ?= dist/vnicheck.pyz
zipapp: $(RELEASE)/.ready dist  ## build dist/vnicheck.pyz: one file, for this kind of machine and PYTHON
	@sh release/zipapp.sh $(PYTHON) $(RELEASE)/bin/shiv dist/*.whl $(ZIPAPP)

try-zipapp: zipapp  ## try that file in an empty folder and home
	@sh release/try-zipapp.sh $(PYTHON) $(ZIPAPP)

try-debian:  ## try what the README says as a newcomer on a fresh Debian (root, debootstrap; minutes)
	@sh release/try-debian.sh

IMAGE ?= vnicheck
BUILDER ?= $$(command -v podman || command -v buildah || command -v docker)
image:  ## build a container image by podman, buildah or docker (BASE=... names another base)
	@$(BUILDER) build -f Containerfile $(if $(BASE),--build-arg BASE=$(BASE)) -t $(IMAGE) .

sbom: $(RELEASE)/.ready  ## write vnicheck.cdx.json: CycloneDX, of the releases that requirements/run.txt pins
	@$(RELEASE)/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
		-o vnicheck.cdx.json requirements/run.txt
	@$(RELEASE)/bin/python release/sbom.py vnicheck.cdx.json

lint: $(READY)  ## format, lint, types, import contract, house rules, workflows
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && $(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo >$(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }
	@$(BIN)/python -m tests.house_rules
	@$(BIN)/zizmor --offline --quiet --no-progress .github action.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-actions action.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-issue-forms $$(ls .github/ISSUE_TEMPLATE/*.yml | grep -v /config)

SEED ?= 1
CONFIGURATIONS ?= 500
differential: $(READY) packages  ## compare the kernel model with the running kernel (root; SEED=1 CONFIGURATIONS=500)
	@$(BIN)/python -m tests.lab.differential --seed $(SEED) --configurations $(CONFIGURATIONS)

RUNS ?= 100000
fuzz: $(READY)  ## feed what reads a server's output with inputs that are made to break it (RUNS=100000)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(RUNS)

bench: $(READY)  ## measure, each figure beside something else in the same run
	@$(BIN)/python -m benchmarks

bench-scale: $(READY)  ## measure a region of up to 10,000 servers (minutes)
	@$(BIN)/python -m benchmarks scale

demo-snapshot: $(READY)  ## write the demo's packaged snapshot anew from fixtures/cases
	@$(BIN)/python -m tests.support.demo_snapshot

man: $(RUNS_READY)  ## write the manual pages, man/*.1, from what the program says of itself
	@$(BIN)/python -m tests.support.man_pages man

.PHONY: packages
packages:
	@sh tests/packages.sh && sh tests/managers.sh $(VENV)/managers && sh tests/axe.sh $(VENV)/axe

# requirements/ names each release, and the hash of each file, that a development environment is made of.
$(RUNS_READY): pyproject.toml requirements/run.txt
	@test -x $(BIN)/python || { $(PYTHON) -m pip --python "$$(command -v $(PYTHON))" --version && $(PYTHON) -m venv --without-pip $(VENV); } \
		>/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'installing vnicheck into $(VENV) ...' >&2
	@$(PIP) --require-hashes -r requirements/run.txt && $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(READY): $(RUNS_READY) requirements/dev.txt
	@echo 'installing its tools into $(VENV) ...' >&2
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(DOCS_READY): $(RUNS_READY) requirements/docs.txt
	@echo 'installing what makes the site into $(VENV) ...' >&2
	@$(PIP) --require-hashes -r requirements/docs.txt
	@touch $@

COMPILE = CUSTOM_COMPILE_COMMAND='make pins' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras \
	--allow-unsafe --build-deps-for editable --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host
pins: $(READY)  ## choose releases anew and write requirements/*.txt
	@$(COMPILE) -o requirements/run.txt pyproject.toml
	@$(COMPILE) -c requirements/run.txt --extra dev -o requirements/dev.txt pyproject.toml
	@$(COMPILE) -c requirements/run.txt -c requirements/dev.txt --extra docs -o requirements/docs.txt pyproject.toml
	@$(COMPILE) -c requirements/run.txt -c requirements/dev.txt --extra release -o requirements/release.txt pyproject.toml

clean:  ## remove what make made
	rm -rf $(VENV) $(LOWEST) $(RELEASE) $(SITE) dist man vnicheck.cdx.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
