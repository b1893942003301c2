"""Entry files → entries. A broken file is reported with file, line and field; it never takes the rest down.

Knows Markdown with YAML front matter and YAML; knows nothing of how entries relate (that is `kb.check`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from kb.entry import (
    FOOTNOTE,
    AnyEntry,
    Cause,
    ErrorEntry,
    Fork,
    GlossaryEntry,
    Label,
    Phase,
    Platform,
    Section,
    Statement,
    Vendor,
)

BUILT_IN = Path(__file__).parent
KINDS: dict[str, type[AnyEntry]] = {"errors": ErrorEntry, "glossary": GlossaryEntry, "forks": Fork}
SECTIONS: dict[str, dict[str, Section]] = {
    "errors": {"Causes, most likely first": "Causes", "Does not help": "Does not help", "Check": "Check"},
    "glossary": {
        "Explanation": "Explanation",
        "Example": "Example",
        "Where you meet it": "Where you meet it",
        "Questions": "Questions",
    },
}
OPTIONAL_SECTIONS = {"Does not help"}
TAGS = {*get_args(Platform), *get_args(Vendor), *get_args(Phase)}

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_LABEL = re.compile(r"\*\*(Tell|Fix):\*\*[ \t]*\n?", re.IGNORECASE)
_MARKER = re.compile(r"\s*(?:\d+[.)]|[-*+])\s+")
_INDENT = re.compile(r"\s*")
_TAGGED = re.compile(r"^(?P<title>.*?)\s*\{(?P<tags>[^{}]*)\}\s*$")


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
    """Yield the entry files below `folder` in a stable order: errors/**.md, glossary/**.md, forks/**.yaml."""
    for kind in KINDS:
        pattern = "*.yaml" if kind == "forks" else "*.md"
        yield from sorted((folder / kind).rglob(pattern))


def read_entry(file: Path, origin: Literal["oomph", "yours"] = "oomph") -> AnyEntry:
    """Read one entry; the folder it lies in (errors, glossary, forks) says what it is.

    :raises BrokenEntry: with each problem's line and field.
    """
    kind = next((part for part in reversed(file.parent.parts) if part in KINDS), "errors")
    try:
        content = file.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenEntry([Problem(file, 1, "", f"cannot be read as UTF-8 text: {fault}")]) from fault
    front, body, body_line = _split(file, content, kind)
    fields, lines = _yaml(file, front, 1 if kind == "forks" else 2)
    problems: list[Problem] = []
    title = str(fields.get("term" if kind == "glossary" else "title", ""))
    summary = str(fields.get({"errors": "summary", "glossary": "definition", "forks": "shared"}[kind], "")).strip()
    text = "\n\n".join(part for part in (title, summary, body) if part)
    statements = _summary_statement(title, summary)
    if kind != "forks":
        shift = len(text) - len(body)
        statements += _statements(body, shift, lambda line, message: problems.append(
            Problem(file, body_line + line, "body", message)
        ), kind)
    for pair in _listed(fields.get("confused_with")):
        difference = str(pair.get("difference", "")).strip() if isinstance(pair, dict) else ""
        if difference:
            statements.append(_statement("Confused with", len(text) + 2, difference, heading=str(pair.get("term", ""))))
            text += f"\n\n{difference}"
    names = "\n".join(str(alias).strip() for alias in _listed(fields.get("aliases")))
    fields |= {"text": f"{text}\n\n{names}" if names else text, "statements": statements, "origin": origin}
    if kind == "errors":
        fields["causes"] = _causes(statements)
    try:
        entry = KINDS[kind].model_validate(fields)
    except ValidationError as fault:
        for detail in fault.errors(include_url=False, include_context=False):
            location = ".".join(str(part) for part in detail["loc"])
            problems.append(Problem(file, _line_of(detail["loc"], lines), location, detail["msg"]))
        raise BrokenEntry(problems) from fault
    if entry.id != file.stem:
        problems.append(Problem(file, lines.get(("id",), 1), "id", f"must be the file's name, {file.stem}"))
    if problems:
        raise BrokenEntry(problems)
    return entry


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


def _yaml(file: Path, front: str, first_line: int) -> tuple[dict[str, Any], dict[tuple[object, ...], int]]:
    """Parse YAML into its fields and the line of each, keyed by its path."""
    try:
        node = yaml.compose(front, Loader=yaml.SafeLoader)
        fields = yaml.safe_load(front)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        message = getattr(fault, "problem", None) or "is no valid YAML"
        raise BrokenEntry([Problem(file, line, "", f"front matter: {message}")]) from fault
    except ValueError as fault:  # a date such as 2026-02-31
        raise BrokenEntry([Problem(file, first_line, "", f"front matter: {fault}")]) from fault
    if not isinstance(fields, dict):
        raise BrokenEntry([Problem(file, first_line, "", "front matter must be fields with values")])
    lines: dict[tuple[object, ...], int] = {}
    _note_lines(node, (), first_line, lines)
    return fields, lines


def _note_lines(node: yaml.Node | None, path: tuple[object, ...], first: int, lines: dict[tuple[object, ...], int]) -> None:
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


def _line_of(location: tuple[object, ...], lines: dict[tuple[object, ...], int]) -> int:
    """Return the line of the nearest part of `location` that stands in the file."""
    for length in range(len(location), -1, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return 1


def _listed(value: object) -> list[Any]:
    """Return `value` if it is a list; anything else is reported by the entry's own validation."""
    return value if isinstance(value, list) else []


def _statement(section: Section, start: int, text: str, heading: str = "", label: Label = "", step: bool = False) -> Statement:
    return Statement(
        section=section,
        heading=heading,
        label=label,
        text=text,
        start=start,
        end=start + len(text),
        sources=tuple(dict.fromkeys(FOOTNOTE.findall(text))),
        step=step,
    )


def _summary_statement(title: str, summary: str) -> list[Statement]:
    return [_statement("Summary", len(title) + 2, summary)] if title and summary else []


def _statements(body: str, shift: int, report: Callable[[int, str], None], kind: str) -> list[Statement]:
    """Cut the body into its quotable pieces; `shift` is where the body starts in the entry's text."""
    known = SECTIONS[kind]
    offsets = [0]
    body_lines = body.split("\n")
    for line in body_lines:
        offsets.append(offsets[-1] + len(line) + 1)
    section: Section = "Overview" if kind == "errors" else "Explanation"
    heading, label, seen = "", "", []
    statements: list[Statement] = []
    tokens = _MARKDOWN.parse(body)
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[position + 1].content
            line = token.map[0] if token.map else 0
            label = ""
            if token.tag == "h2" and title in known:
                section, heading = known[title], ""
                seen.append(title)
            elif token.tag == "h3" and section in ("Causes", "Questions"):
                heading = title
            else:
                report(line, f"unknown heading {title!r}; the sections are: " + ", ".join(f"## {name}" for name in known))
            continue
        for first, last in _pieces(token, body_lines):
            start, end = offsets[first], offsets[last] - 1
            text = body[start:end].rstrip()
            marked = _LABEL.match(text)
            if marked:
                label = marked.group(1).lower()
                start += marked.end()
                text = text[marked.end() :]
                if not text:
                    continue
            marker = _MARKER.match(text) if token.type == "list_item_open" else _INDENT.match(text)
            skip = marker.end() if marker else 0
            start, text = start + skip, text[skip:]
            if section == "Causes" and not (heading and label):
                report(first, "in Causes each text stands below a ### cause and after **Tell:** or **Fix:**")
            step = token.type == "list_item_open" and token.info != ""
            statements.append(_statement(section, shift + start, text, heading, _label(label), step))
    for title in known:
        if title not in seen and title not in OPTIONAL_SECTIONS:
            report(0, f"the section ## {title} is missing")
    return statements


def _label(label: str) -> Label:
    return "tell" if label == "tell" else "fix" if label == "fix" else ""


def _pieces(token: Token, lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the (first, past-last) lines of a top-level block, or of an item of a top-level list.

    A paragraph is cut before each line that starts with **Tell:** or **Fix:**.
    """
    if token.map is None:
        return
    first, last = token.map
    if token.level == 0 and token.type == "paragraph_open":
        for line in range(first + 1, last):
            if _LABEL.match(lines[line]):
                yield first, line
                first = line
        yield first, last
    elif token.level == 0 and token.type in ("fence", "code_block", "table_open", "blockquote_open"):
        yield first, last
    elif token.level == 1 and token.type == "list_item_open":
        yield first, last


def _causes(statements: list[Statement]) -> tuple[Cause, ...]:
    """Group the statements of the section Causes by their heading, in order."""
    grouped: dict[str, list[Statement]] = {}
    for statement in statements:
        if statement.section == "Causes":
            grouped.setdefault(statement.heading, []).append(statement)
    causes = []
    for heading, group in grouped.items():
        tagged = _TAGGED.match(heading)
        tags = tuple(tag.strip() for tag in tagged["tags"].split(",")) if tagged else ()
        tell = tuple(statement for statement in group if statement.label == "tell")
        fix = tuple(statement for statement in group if statement.label == "fix")
        causes.append(Cause(title=tagged["title"] if tagged else heading, tags=tags, tell=tell, fix=fix))
    return tuple(causes)
