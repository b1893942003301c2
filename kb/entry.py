"""What an entry is: error, glossary term, fork. Frozen values; unknown fields are refused.

An entry's `text` is its title, its one-line summary, the body of its file, and its aliases, one a line. A
`Statement` is the smallest piece of that text that is quoted: a paragraph, a step, an item, a table, a code
block. Everything that is later found, shown or cited is a span of `text`.
"""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from kb.template import check_template

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, pattern=r"^[^\n]*$")]
Signature = Annotated[Line, AfterValidator(check_template)]  # an error message as a template: kb/template.py
Platform = Literal["linux", "windows", "wsl", "macos", "docker"]
Vendor = Literal["nvidia", "amd", "intel", "apple", "cpu"]
Phase = Literal["install", "build", "download", "start", "load", "prompt", "generate", "train"]
Level = Literal["beginner", "intermediate", "advanced"]
Category = Literal[
    "Core concepts",
    "Architecture",
    "Training and adaptation",
    "Inference",
    "Quantisation and formats",
    "Hardware",
    "Software stacks",
    "Runtimes and tools",
    "Retrieval and agents",
    "Evaluation",
    "Models and licensing",
    "Images and audio",
]
Section = Literal[
    "Summary",
    "Overview",
    "Causes",
    "Does not help",
    "Check",
    "Explanation",
    "Example",
    "Where you meet it",
    "Questions",
    "Confused with",
]
Label = Literal["", "tell", "fix"]

FOOTNOTE = re.compile(r"\[\^([\w.-]+)\]")


class Frozen(BaseModel):
    """A value: never changed after it was made, and no field that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Frozen):
    """Where a claim comes from; `read` is the day somebody opened it."""

    title: Line
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"]+$")]
    read: date


class Statement(Frozen):
    """One quotable piece of an entry: `entry.text[start:end] == text`.

    `heading` is the cause or the question it belongs to (or empty), `label` says whether it tells how to
    recognise a cause or how to mend it, `sources` are the footnotes in it.
    """

    section: Section
    heading: str = ""
    label: Label = ""
    text: str
    start: int
    end: int
    sources: tuple[str, ...] = ()
    step: bool = False  # an item of a numbered list
    bullet: bool = False  # an item of another list


class Cause(Frozen):
    """One possible reason, with `tags` (platforms, vendors, phases, tools) that say where alone it applies."""

    title: str
    tags: tuple[str, ...] = ()
    tell: tuple[Statement, ...]
    fix: tuple[Statement, ...]


class Difference(Frozen):
    """What tells a term from one that it is confused with."""

    term: Id
    difference: Line


class Entry(Frozen):
    """What error and glossary entries share."""

    id: Id
    aliases: tuple[Line, ...] = ()
    related: tuple[Id, ...] = ()
    sources: dict[str, Source]
    verified: date
    text: str = ""
    statements: tuple[Statement, ...] = ()
    origin: Literal["oomph", "yours"] = "oomph"


class ErrorEntry(Entry):
    """Something that does not work, is slow or wrong: how it looks, why, and what to do, most likely first."""

    kind: Literal["error"] = "error"
    title: Line
    summary: Line
    signatures: tuple[Signature, ...] = ()
    clues: tuple[Line, ...] = ()
    phases: tuple[Phase, ...] = Field(min_length=1)
    tools: tuple[Line, ...] = ()
    platforms: tuple[Platform, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    terms: tuple[Id, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def line(self) -> str:
        """The one-line summary, footnotes included."""
        return self.summary


class GlossaryEntry(Entry):
    """A term that an operator of local AI meets."""

    kind: Literal["term"] = "term"
    term: Line
    definition: Line
    category: Category
    level: Level
    errors: tuple[Id, ...] = ()
    confused_with: tuple[Difference, ...] = ()

    @property
    def title(self) -> str:
        """The term itself."""
        return self.term

    @property
    def line(self) -> str:
        """The one-line definition, footnotes included."""
        return self.definition

    @property
    def signatures(self) -> tuple[str, ...]:
        """None: a term has no error message."""
        return ()


class Option(Frozen):
    """One answer to a fork's question, and what in a log speaks for it."""

    label: Line
    entry: Id
    clues: tuple[Line, ...] = ()


class Fork(Frozen):
    """One message, several entries: the question that decides, when the log does not."""

    kind: Literal["fork"] = "fork"
    id: Id
    title: Line
    signatures: tuple[Signature, ...] = ()  # none where it is only a vague way to ask, such as "gpu not working"
    aliases: tuple[Line, ...] = ()
    question: Line
    shared: str
    options: tuple[Option, ...] = Field(min_length=2)
    sources: dict[str, Source]
    verified: date
    text: str = ""
    statements: tuple[Statement, ...] = ()
    origin: Literal["oomph", "yours"] = "oomph"


AnyEntry = ErrorEntry | GlossaryEntry | Fork


def name_words(text: str) -> tuple[str, ...]:
    """Return the words by which a name is known again: lower case, plurals cut, punctuation dropped."""
    return tuple(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in re.findall(r"[a-z0-9]+", text.lower())
    )


def plain(markdown: str) -> str:
    """Return `markdown` without its footnote marks."""
    return FOOTNOTE.sub("", markdown)
