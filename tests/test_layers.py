"""The house: imports point down, each heavy library has one home, public values are frozen."""

import ast
import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parent.parent
LAYERS = ("kb", "index", "rag", "ui")  # each may import itself and what stands before it
HOMES = {
    "faiss": "index/vectors.py",
    "sentence_transformers": "index/embed.py",
    "torch": "index/embed.py",
    "transformers": "index/embed.py",
    "llama_cpp": "rag/write.py",
    "gradio": "ui/web.py",
    "nh3": "ui/render.py",
    "filelock": "index/build.py",
    "platformdirs": "ui/settings.py",
    "rapidfuzz": "index/names.py",
    "yaml": "kb/read.py",
}


def modules():
    return [file for layer in LAYERS for file in sorted((ROOT / layer).glob("*.py"))]


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("file", modules(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_imports_point_only_downwards_and_heavy_libraries_stay_at_home(file):
    allowed = LAYERS[: LAYERS.index(file.parent.name) + 1]
    for name in imported(file):
        assert name not in LAYERS or name in allowed, f"{file} imports {name}"
        assert name not in HOMES or HOMES[name] == f"{file.parent.name}/{file.name}", f"{file} imports {name}"


def test_only_the_settings_read_what_is_set_outside():
    readers = [file for file in modules() if "environ.get" in file.read_text() or "getenv" in file.read_text()]
    assert readers == []
    passed_on = [
        file.name for file in modules() if "os.environ" in file.read_text() and "os.environ.set" not in file.read_text()
    ]
    assert passed_on == ["cli.py"]  # which hands it to ui/settings.py


def test_importing_a_layer_loads_nothing_heavy():
    code = "import rag.ask, index.build, ui.start, sys; print(sorted({'torch','gradio','faiss','llama_cpp','sentence_transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["kb.entry", "index.passage", "rag.answer", "index.generation", "index.signatures"])
def test_values_are_frozen(name):
    module = importlib.import_module(name)
    values = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type)
        and thing.__module__ == name
        and (dataclasses.is_dataclass(thing) or issubclass(thing, BaseModel))
    ]
    assert values
    for value in values:
        frozen = value.model_config.get("frozen") if issubclass(value, BaseModel) else value.__dataclass_params__.frozen
        assert frozen, value


def test_the_journeys_fit_on_a_screen():
    for file, function in (("index/build.py", "build"), ("rag/ask.py", "ask")):
        tree = ast.parse((ROOT / file).read_text())
        node = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
        assert node.end_lineno - node.lineno < 40, f"{file}: {function}"


def test_the_packages_are_those_of_the_checkout():
    for layer in LAYERS:
        assert Path(importlib.import_module(layer).__file__).is_relative_to(ROOT)
