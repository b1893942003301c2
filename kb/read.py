"""Entry files → entries. A broken file is reported with file, line and field; it never takes the rest down.

Knows Markdown with YAML front matter and YAML; knows nothing of how entries relate (that is `kb.check`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from kb.body import ERROR_SECTIONS, TERM_SECTIONS, Report, causes, statement, statements
from kb.entry import AnyEntry, ErrorEntry, Fork, GlossaryEntry, Statement

BUILT_IN = Path(__file__).parent
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where there is: eight times faster
KINDS: dict[str, type[AnyEntry]] = {"errors": ErrorEntry, "glossary": GlossaryEntry, "forks": Fork}
SUMMARIES = {"errors": "summary", "glossary": "definition", "forks": "shared"}

Place = tuple[object, ...]  # of a field in front matter: ("sources", "faq", "url")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in one file; `field` is empty where no single field is at fault."""

    file: Path
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f" {self.field}:" if self.field else ""
        return f"{self.file}:{self.line}:{where} {self.message}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All entries that could be read, by id; the file of each; and the problems of those that could not."""

    entries: dict[str, AnyEntry]
    files: dict[str, Path]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> list[ErrorEntry]:
        """The error entries."""
        return [entry for entry in self.entries.values() if isinstance(entry, ErrorEntry)]

    @property
    def terms(self) -> list[GlossaryEntry]:
        """The glossary entries."""
        return [entry for entry in self.entries.values() if isinstance(entry, GlossaryEntry)]

    @property
    def forks(self) -> list[Fork]:
        """The forks."""
        return [entry for entry in self.entries.values() if isinstance(entry, Fork)]


class BrokenEntry(Exception):
    """A file that is no entry: carries every problem found in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def read_knowledge(*folders: Path) -> Knowledge:
    """Read all entries below `folders`; where an id comes twice, the later folder wins, within a folder the first."""
    entries: dict[str, AnyEntry] = {}
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    for folder in folders:
        here: dict[str, Path] = {}
        for file in entry_files(folder):
            try:
                entry = read_entry(file, origin="oomph" if folder == BUILT_IN else "yours")
            except BrokenEntry as broken:
                problems += broken.problems
                continue
            if entry.id in here:
                problems.append(Problem(file, 2, "id", f"{entry.id} is also the id of {here[entry.id]}"))
                continue
            here[entry.id] = file
            entries[entry.id], files[entry.id] = entry, file
    return Knowledge(entries, files, tuple(problems))


def entry_files(folder: Path) -> Iterator[Path]:
    """Yield the entry files below `folder` in a stable order: errors/**.md, glossary/**.md, forks/**.yaml.

    What is hidden (an editor's lock, a tool's folder) and what is no file is nobody's entry.
    """
    for kind in KINDS:
        pattern = "*.yaml" if kind == "forks" else "*.md"
        for path in sorted((folder / kind).rglob(pattern)):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if not hidden and path.is_file():
                yield path


def read_entry(file: Path, origin: Literal["oomph", "yours"] = "oomph") -> AnyEntry:
    """Read one entry; the folder it lies in (errors, glossary, forks) says what it is.

    :raises BrokenEntry: with each problem's line and field.
    """
    kind = next((part for part in reversed(file.parent.parts) if part in KINDS), "errors")
    front, body, body_line = _split(file, _content(file), kind)
    fields, lines = parse_yaml(file, front, 1 if kind == "forks" else 2)
    problems: list[Problem] = []

    def report(line: int, message: str) -> None:
        problems.append(Problem(file, body_line + line, "body", message))

    text, found = _assembled(kind, fields, body, report)
    entry = _validated(file, kind, {**fields, "text": text, "statements": found, "origin": origin}, lines, problems)
    if entry.id != file.stem:
        problems.append(Problem(file, lines.get(("id",), 1), "id", f"must be the file's name, {file.stem}"))
    if problems:
        raise BrokenEntry(problems)
    return entry


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenEntry([Problem(file, 1, "", f"cannot be read as UTF-8 text: {fault}")]) from fault


def _assembled(kind: str, fields: dict[str, Any], body: str, report: Report) -> tuple[str, list[Statement]]:
    """Put the entry's text together (title, summary, body, differences, aliases) and cut it into statements."""
    title = str(fields.get("term" if kind == "glossary" else "title", ""))
    summary = str(fields.get(SUMMARIES[kind], "")).strip()
    found = [statement("Summary", len(title) + 2, summary)] if title and summary else []
    text = "\n\n".join(part for part in (title, summary, body) if part)
    if kind != "forks":
        sections = ERROR_SECTIONS if kind == "errors" else TERM_SECTIONS
        found += statements(body, len(text) - len(body), sections, report)
    for pair in _listed(fields.get("confused_with")):
        difference = str(pair.get("difference", "")).strip() if isinstance(pair, dict) else ""
        if difference:
            found.append(statement("Confused with", len(text) + 2, difference, heading=str(pair.get("term", ""))))
            text += f"\n\n{difference}"
    names = "\n".join(str(alias).strip() for alias in _listed(fields.get("aliases")))
    return (f"{text}\n\n{names}" if names else text), found


def _validated(
    file: Path, kind: str, fields: dict[str, Any], lines: dict[Place, int], problems: list[Problem]
) -> AnyEntry:
    """Make the entry; what does not fit its type is added to the problems of the body."""
    if kind == "errors":
        fields["causes"] = causes(fields["statements"])
    try:
        return KINDS[kind].model_validate(fields)
    except ValidationError as fault:
        for detail in fault.errors(include_url=False, include_context=False):
            location = ".".join(str(part) for part in detail["loc"])
            problems.append(Problem(file, line_of(detail["loc"], lines), location, detail["msg"]))
        raise BrokenEntry(problems) from fault


def _split(file: Path, content: str, kind: str) -> tuple[str, str, int]:
    """Split a file into front matter, body, and the line number before the body's first."""
    if kind == "forks":
        return content, "", 0
    found = re.match(r"---\n(.*?\n)---\n", content, re.DOTALL)
    if not found:
        raise BrokenEntry([Problem(file, 1, "", "must start with front matter between two lines of ---")])
    rest = content[found.end() :]
    body = rest.strip("\n")
    skipped = len(rest) - len(rest.lstrip("\n"))
    return found.group(1), body, content[: found.end()].count("\n") + skipped + 1


def parse_yaml(file: Path, front: str, first_line: int) -> tuple[dict[str, Any], dict[Place, int]]:
    """Parse YAML into its fields and the line of each, keyed by its path."""
    try:
        loader = YAML_LOADER(front)
        node = loader.get_single_node()
        fields = loader.construct_document(node) if node else None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        message = getattr(fault, "problem", None) or "is no valid YAML"
        raise BrokenEntry([Problem(file, line, "", f"front matter: {message}")]) from fault
    except ValueError as fault:  # a date such as 2026-02-31
        raise BrokenEntry([Problem(file, first_line, "", f"front matter: {fault}")]) from fault
    if not isinstance(fields, dict):
        raise BrokenEntry([Problem(file, first_line, "", "front matter must be fields with values")])
    lines: dict[Place, int] = {}
    _note_lines(node, (), first_line, lines)
    return fields, lines


def _note_lines(node: yaml.Node | None, path: Place, first: int, lines: dict[Place, int]) -> None:
    if node is None:
        return
    lines.setdefault(path, first + node.start_mark.line)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, key.value)] = first + key.start_mark.line
            _note_lines(value, (*path, key.value), first, lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _note_lines(value, (*path, position), first, lines)


def line_of(location: Place, lines: dict[Place, int]) -> int:
    """Return the line of the nearest part of `location` that stands in the file."""
    for length in range(len(location), -1, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return 1


def _listed(value: object) -> list[Any]:
    """Return `value` if it is a list; anything else is reported by the entry's own validation."""
    return value if isinstance(value, list) else []
