# The words that people and CI use. Each can be repeated; what is already done is not done again.
#   make PYTHON=python3.12 run     another Python for a new .venv
#   make LLAMA=cpu run             another llama.cpp than the one this machine suggests: cpu cuda rocm vulkan metal

PYTHON ?= python3
export LLAMA

.PHONY: run install llama dev test check bench lock

run: install
	.venv/bin/oomph serve

install:
	$(PYTHON) scripts/install.py

# Build llama-cpp-python again: after a driver or toolkit was installed, or a build failed.
llama:
	$(PYTHON) scripts/install.py --llama

dev:
	$(PYTHON) scripts/install.py --dev

test: dev
	.venv/bin/python scripts/browser.py
	.venv/bin/python -m pytest

check: dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/mypy scripts

bench: dev
	.venv/bin/python -m benchmarks.run

# Keeps every version that still fits pyproject.toml; delete the lock files first to renew them all.
# torch is in no lock, because each system takes it from another place (scripts/install.py);
# llama-cpp-python has one of its own, because it is built, and built again, apart from the rest.
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --no-emit-package torch
lock: dev
	$(COMPILE) pyproject.toml --no-emit-package llama-cpp-python -o requirements.lock
	echo llama-cpp-python | $(COMPILE) - --no-deps -o requirements-llama.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
