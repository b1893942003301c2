"""Markdown body → statements: the quotable pieces of an entry, each with its span.

Knows sections, causes and labels; knows nothing of files and front matter.
"""

import re
from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kb.entry import FOOTNOTE, Cause, Label, Section, Statement

ERROR_SECTIONS: dict[str, Section] = {
    "Causes, most likely first": "Causes",
    "Does not help": "Does not help",
    "Check": "Check",
}
TERM_SECTIONS: dict[str, Section] = {
    "Explanation": "Explanation",
    "Example": "Example",
    "Where you meet it": "Where you meet it",
    "Questions": "Questions",
}
OPTIONAL = {"Does not help"}

Report = Callable[[int, str], None]  # line of the body, from 0, and what is wrong there

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_LABELLED: dict[str, Label] = {"tell": "tell", "fix": "fix"}
_LABEL = re.compile(r"\*\*(Tell|Fix):\*\*[ \t]*\n?", re.IGNORECASE)
_MARKER = re.compile(r"\s*(?:\d+[.)]|[-*+])\s+")
_INDENT = re.compile(r"\s*")
_TAGGED = re.compile(r"^(?P<title>.*?)\s*\{(?P<tags>[^{}]*)\}\s*$")


def statement(section: Section, start: int, text: str, heading: str = "", label: Label = "") -> Statement:
    """Return `text` as a statement that starts at `start`, with the footnotes in it as its sources."""
    sources = tuple(dict.fromkeys(FOOTNOTE.findall(text)))
    return Statement(
        section=section, heading=heading, label=label, text=text, start=start, end=start + len(text), sources=sources
    )


def statements(body: str, shift: int, sections: dict[str, Section], report: Report) -> list[Statement]:
    """Cut `body` into its statements; `shift` is where it starts in the entry's text."""
    walk = _Walk(body, shift, sections, report)
    tokens = _MARKDOWN.parse(body)
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            walk.heading(token, tokens[position + 1].content)
        else:
            walk.block(token)
    for title in sections:
        if title not in walk.seen and title not in OPTIONAL:
            report(0, f"the section ## {title} is missing")
    return walk.found


class _Walk:
    """Where the reader stands in the body: section, heading, label; and what was found so far."""

    def __init__(self, body: str, shift: int, sections: dict[str, Section], report: Report) -> None:
        self._body, self._shift, self._sections, self._report = body, shift, sections, report
        self._lines = body.split("\n")
        self._offsets = [0]
        for line in self._lines:
            self._offsets.append(self._offsets[-1] + len(line) + 1)
        self._section: Section = "Overview" if "Check" in sections else "Explanation"
        self._heading = ""
        self._label: Label = ""
        self.seen: list[str] = []
        self.found: list[Statement] = []

    def heading(self, token: Token, title: str) -> None:
        """Enter a section, or a cause or question within one."""
        self._label = ""
        if token.tag == "h2" and title in self._sections:
            self._section, self._heading = self._sections[title], ""
            self.seen.append(title)
        elif token.tag == "h3" and self._section in ("Causes", "Questions"):
            self._heading = title
        else:
            known = ", ".join(f"## {name}" for name in self._sections)
            self._report(token.map[0] if token.map else 0, f"unknown heading {title!r}; the sections are: {known}")

    def block(self, token: Token) -> None:
        """Take a top-level block, or an item of a top-level list."""
        for first, last in _pieces(token, self._lines):
            start = self._offsets[first]
            text = self._body[start : self._offsets[last] - 1].rstrip()
            labelled = _LABEL.match(text)
            if labelled:
                self._label = _LABELLED[labelled.group(1).lower()]
                start, text = start + labelled.end(), text[labelled.end() :]
            lead = (_MARKER if token.type == "list_item_open" else _INDENT).match(text)
            skip = lead.end() if lead else 0
            if text[skip:]:
                self._add(token, first, start + skip, text[skip:])

    def _add(self, token: Token, line: int, start: int, text: str) -> None:
        if self._section == "Causes" and not (self._heading and self._label):
            self._report(line, "in Causes each text stands below a ### cause and after **Tell:** or **Fix:**")
        made = statement(self._section, self._shift + start, text, self._heading, self._label)
        listed = token.type == "list_item_open"
        kinds = {"step": listed and token.info != "", "bullet": listed and token.info == ""}
        self.found.append(made.model_copy(update=kinds))


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
    elif (token.level == 0 and token.type in ("fence", "code_block", "table_open", "blockquote_open")) or (
        token.level == 1 and token.type == "list_item_open"
    ):
        yield first, last


def causes(found: list[Statement]) -> tuple[Cause, ...]:
    """Group the statements of the section Causes by their heading, in order."""
    grouped: dict[str, list[Statement]] = {}
    for one in found:
        if one.section == "Causes":
            grouped.setdefault(one.heading, []).append(one)
    return tuple(_cause(heading, group) for heading, group in grouped.items())


def _cause(heading: str, group: list[Statement]) -> Cause:
    tagged = _TAGGED.match(heading)
    return Cause(
        title=tagged["title"] if tagged else heading,
        tags=tuple(tag.strip() for tag in tagged["tags"].split(",")) if tagged else (),
        tell=tuple(one for one in group if one.label == "tell"),
        fix=tuple(one for one in group if one.label == "fix"),
    )
