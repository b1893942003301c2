"""Documents cannot lie: commands exist, settings are named, the tree is the tree, decisions are numbered."""

import re
from pathlib import Path

import pytest

from kb.read import BUILT_IN, read_entry
from ui.cli import _parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(parser=None, prefix=()):
    parser = parser or _parser()
    for action in parser._actions:
        for name, inner in (
            (getattr(action, "choices", None) or {}).items() if hasattr(action, "_name_parser_map") else ()
        ):
            yield (*prefix, name), inner
            yield from commands(inner, (*prefix, name))


def test_every_command_that_a_document_names_exists():
    known = {" ".join(name) for name, _ in commands()}
    flags = {flag for _, parser in commands() for action in parser._actions for flag in action.option_strings}
    for document in DOCUMENTS:
        for line in re.findall(
            r"(?:^|[`| ])oomph ((?:serve|ask|index|kb|where)[^`\n#|]*)", document.read_text(), re.MULTILINE
        ):
            words = line.split()
            name = " ".join(words[:2]) if words[0] == "kb" else words[0]
            assert name in known, f"{document.name}: oomph {line}"
            for flag in re.findall(r"(?<=\s)--?[a-z-]+", line):
                assert flag in flags or flag == "-", f"{document.name}: {flag}"


def test_every_make_word_that_a_document_names_exists():
    words = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        for word in re.findall(r"(?:`|^|cpu )make ([a-z-]+)", document.read_text(), re.MULTILINE):
            assert word in words, f"{document.name}: make {word}"


def test_every_setting_stands_in_the_readme():
    settings = set(re.findall(r'"(OOMPH_\w+)"', (ROOT / "ui" / "settings.py").read_text()))
    readme = (ROOT / "README.md").read_text()
    assert settings and all(setting in readme for setting in settings)


def test_the_tree_in_the_readme_is_the_tree():
    tree = set(re.findall(r"^(\w+)/  ", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert tree == {
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and path.name not in ("dist", "build")
    }


def test_every_file_that_a_document_names_exists():
    for document in DOCUMENTS:
        for name in re.findall(
            r"\b((?:docs|kb|index|rag|ui|tests|benchmarks|scripts)/[\w/.-]+\.(?:md|py|yaml|jsonl|png))",
            document.read_text(),
        ):
            assert (ROOT / name).exists() or "ID." in name, f"{document.name}: {name}"


def test_decisions_are_numbered_without_gaps():
    numbers = sorted(int(file.name[:4]) for file in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("kind", ["errors", "glossary", "forks"])
def test_the_skeletons_in_the_guide_have_the_fields_that_the_reader_knows(kind):
    guide = (ROOT / "docs" / "writing-entries.md").read_text()
    entry = {"errors": "phases:", "glossary": "definition:", "forks": "options:"}[kind]
    assert entry in guide
    sample = next((BUILT_IN / kind).glob("*.yaml" if kind == "forks" else "*.md"))
    skip = {"text", "statements", "origin", "kind", "causes"}
    for field in set(type(read_entry(sample)).model_fields) - skip:
        assert f"{field}:" in guide, field


def test_the_version_is_the_newest_in_the_changelog():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == version


def test_every_pin_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text().split("\n")
    for number, line in enumerate(lines):
        if re.match(r'\s+"[\w-]+(?:==|<|~=)', line):
            assert "#" in line or lines[number - 1].lstrip().startswith("#"), line
