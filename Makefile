# Targets print what they do; each one that needs the environment sets it up.
VENV ?= .venv
PYTHON_IN := $(VENV)/bin/python
# A small environment of its own, so that the pages need neither torch nor mmcv.
DOCS_VENV ?= .venv-docs
DOCS_PYTHON ?= python3
ARGS ?=
# Processes that share the fast tests, file by file.
TEST_PROCESSES ?= 2
# Waiting threads give their core to others, data loading workers for one.
export OMP_WAIT_POLICY ?= PASSIVE
.DEFAULT_GOAL := help
.PHONY: help env demo demo-cityscapes demo-kitti demo-joint demo-figures test test-shuffled \
	test-slow test-gpu lint docs docs-serve clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | \
		sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | \
		awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'
	@echo '  ARGS="..." passes further arguments on, e.g.  make test ARGS="-k sampler -x"'

env:  ## create .venv and install everything (5 minutes once, then nothing to do)
	@VENV="$(VENV)" scripts/setup_env.sh

demo: env  ## synthetic nuScenes, training, evaluation, picture: work_dirs/demo
	$(PYTHON_IN) -m ddp_perception.cli demo $(ARGS)

demo-cityscapes: env  ## synthetic Cityscapes, segmentation: work_dirs/demo-cityscapes
	$(PYTHON_IN) -m ddp_perception.cli demo-cityscapes $(ARGS)

demo-kitti: env  ## synthetic KITTI, depth: work_dirs/demo-kitti
	$(PYTHON_IN) -m ddp_perception.cli demo-kitti $(ARGS)

demo-joint: env  ## boxes and map from one mmdet3d detector: work_dirs/demo-joint
	$(PYTHON_IN) -m ddp_perception.cli demo-joint $(ARGS)

demo-figures: env  ## all four, three seeds each: mean and range of the figures (1 h)
	$(PYTHON_IN) -m ddp_perception.cli demo --repeats 3 $(ARGS)
	$(PYTHON_IN) -m ddp_perception.cli demo-cityscapes --repeats 3 $(ARGS)
	$(PYTHON_IN) -m ddp_perception.cli demo-kitti --repeats 3 $(ARGS)
	$(PYTHON_IN) -m ddp_perception.cli demo-joint --repeats 3 $(ARGS)

test: env  ## the fast tests
	$(PYTHON_IN) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

test-shuffled: env  ## the fast tests, their files in a random order (its seed is printed)
	$(PYTHON_IN) -m pytest --random-order-bucket=module $(ARGS)

test-slow: env  ## the tests marked slow, which `make test` leaves out
	$(PYTHON_IN) -m pytest -m slow $(ARGS)

test-gpu: env  ## the tests that need a GPU: the same figures there as on the CPU
	$(PYTHON_IN) -m pytest -m gpu tests/cuda $(ARGS)

lint: env  ## ruff over the whole tree, mypy over the packages
	$(PYTHON_IN) -m ruff check .
	$(PYTHON_IN) -m mypy

# The variable leaves out a notice on mkdocs' future, which is no warning of a page.
docs: $(DOCS_VENV)/.ready  ## the pages as a site, their links checked: build/site
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build $(ARGS)

docs-serve: $(DOCS_VENV)/.ready  ## the site at 127.0.0.1:8000, renewed as pages change
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs serve $(ARGS)

$(DOCS_VENV)/.ready: constraints.txt
	$(DOCS_PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install -q --disable-pip-version-check \
		-c constraints.txt mkdocs mkdocs-material
	@touch $@

clean:  ## remove caches and build products; keeps environments, data and work_dirs
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -not -path './.venv*/*' -prune -exec rm -rf {} +
