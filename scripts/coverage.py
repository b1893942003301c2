"""docs/coverage.yaml → docs/coverage.md: every topic the knowledge base must cover, and the entries that do."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from kb.read import BUILT_IN, Knowledge, read_knowledge

DOCS = Path(__file__).parent.parent / "docs"
TOPICS, PAGE = DOCS / "coverage.yaml", DOCS / "coverage.md"


def page(topics: dict[str, dict[str, dict[str, list[str]]]], knowledge: Knowledge) -> str:
    """Return the page; `topics` are kind → section → topic → ids.

    :raises KeyError: where there is no entry of an id.
    """
    lines = [
        "# Coverage",
        "",
        f"Topics and the entries that cover them, of {len(knowledge.errors)} errors and {len(knowledge.terms)} terms.",
        "Made by `python -m scripts.coverage` from `coverage.yaml`.",
    ]
    for kind, sections in topics.items():
        for section, covered in sections.items():
            lines += ["", f"## {kind.capitalize()}: {section}", "", "| topic | entries |", "| --- | --- |"]
            lines += [f"| {topic} | {' · '.join(_links(ids, knowledge))} |" for topic, ids in covered.items()]
    return "\n".join(lines) + "\n"


def _links(ids: list[str], knowledge: Knowledge) -> Iterator[str]:
    for identity in ids:
        entry, file = knowledge.entries[identity], knowledge.files[identity]
        yield f"[{entry.title.replace('|', '/')}](../kb/{file.relative_to(BUILT_IN).as_posix()})"


if __name__ == "__main__":
    covered = yaml.safe_load(TOPICS.read_text(encoding="utf-8"))
    PAGE.write_text(page(covered, read_knowledge(BUILT_IN)), encoding="utf-8")
