"""Rules over all entries together → problems. Reading has already checked each file by itself."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta

from kb.entry import AnyEntry, Entry, ErrorEntry, Fork, GlossaryEntry, Statement, name_words, plain
from kb.read import BUILT_IN, Knowledge, Problem

TBD = "TBD "  # how a piece of a skeleton starts
MAX_AGE = timedelta(days=365)
MAX_LINE = 240  # characters of a summary or a definition: it is read in one glance

RENAMED = {  # what no fix may tell people to use any more → what it is called now
    "./main": "llama-cli",
    "./server": "llama-server",
    "./quantize": "llama-quantize",
    "load_in_8bit_fp32_cpu_offload": "llm_int8_enable_fp32_cpu_offload",
    "OLLAMA_NUM_CTX": "OLLAMA_CONTEXT_LENGTH",
    "huggingface-cli": "hf",
    "LLAMA_CUBLAS": "GGML_CUDA",
    "LLAMA_CUDA": "GGML_CUDA",
}
SOURCED = {  # sections that need at least one source
    "error": ("Check", "Does not help", "Overview"),
    "term": ("Explanation", "Example"),
    "fork": ("Summary",),
}
_CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def check(knowledge: Knowledge, today: date) -> list[Problem]:
    """Return every problem of reading and of every rule below, by file and line."""
    problems = list(knowledge.problems)
    for rule in (
        _links,
        _footnotes,
        _unsourced,
        _shared_aliases,
        _shared_signatures,
        _deaf_clues,
        _renamed,
        _lines,
        _unwritten,
        _islands,
    ):
        problems += rule(knowledge)
    problems += _aged(knowledge, today)
    return sorted(set(problems), key=lambda problem: (str(problem.file), problem.line, problem.field, problem.message))


def _at(knowledge: Knowledge, entry: AnyEntry, message: str, field: str, needle: str = "") -> Problem:
    """Return a problem of `entry`, at the line of its file where `needle` (or else the field) first stands."""
    file = knowledge.files[entry.id]
    lines = file.read_text(encoding="utf-8").split("\n")
    for sought in (needle, f"{field}:"):
        line = next((number for number, line in enumerate(lines, 1) if sought and sought in line), 0)
        if line:
            return Problem(file, line, field, message)
    return Problem(file, 1, field, message)


def _links(knowledge: Knowledge) -> Iterator[Problem]:
    """Every id that is named must exist, and be of the right kind."""
    names: dict[type, str] = {Entry: "entry", GlossaryEntry: "glossary term", ErrorEntry: "error entry"}
    for entry in knowledge.entries.values():
        for field, other, kind in _named(entry):
            if other == entry.id:
                yield _at(knowledge, entry, f"{other} names itself", field, other)
            elif not isinstance(knowledge.entries.get(other), kind):
                yield _at(knowledge, entry, f"there is no {names[kind]} {other}", field, other)


def _named(entry: AnyEntry) -> Iterator[tuple[str, str, type]]:
    """Yield (field, id, kind that it must have) for every id that an entry names."""
    if isinstance(entry, Fork):
        yield from (("options", option.entry, ErrorEntry) for option in entry.options)
        return
    yield from (("related", other, Entry) for other in entry.related)
    if isinstance(entry, ErrorEntry):
        yield from (("terms", other, GlossaryEntry) for other in entry.terms)
    else:
        yield from (("errors", other, ErrorEntry) for other in entry.errors)
        yield from (("confused_with", pair.term, GlossaryEntry) for pair in entry.confused_with)


def _footnotes(knowledge: Knowledge) -> Iterator[Problem]:
    """Every footnote has its source, and every source is used."""
    for entry in knowledge.entries.values():
        used = {key for statement in entry.statements for key in statement.sources}
        for key in sorted(used - set(entry.sources)):
            yield _at(knowledge, entry, f"footnote [^{key}] has no source of that name", "body", f"[^{key}]")
        for key in sorted(set(entry.sources) - used):
            yield _at(knowledge, entry, f"source {key} is never cited", "sources", f"{key}:")


def _unsourced(knowledge: Knowledge) -> Iterator[Problem]:
    """What a reader acts on has a source: causes, examples, and every command in a fix."""
    for entry in knowledge.entries.values():
        for section in SOURCED[entry.kind]:
            here = [statement for statement in entry.statements if statement.section == section]
            if here and not any(statement.sources for statement in here):
                yield _at(knowledge, entry, f"{section} has no source", "body", f"## {section}")
        if isinstance(entry, ErrorEntry):
            if not entry.causes:
                yield _at(knowledge, entry, "has no cause", "body")
            yield from _causes(knowledge, entry)
            yield from _commands(knowledge, entry)


def _causes(knowledge: Knowledge, entry: ErrorEntry) -> Iterator[Problem]:
    """Yield each Tell and Fix that is missing or has no source."""
    for cause in entry.causes:
        for label, statements in (("Tell", cause.tell), ("Fix", cause.fix)):
            if not statements:
                yield _at(knowledge, entry, f"cause {cause.title!r} has no {label}", "body", cause.title)
            elif not any(statement.sources for statement in statements):
                yield _at(knowledge, entry, f"the {label} of {cause.title!r} has no source", "body", cause.title)


def _commands(knowledge: Knowledge, entry: ErrorEntry) -> Iterator[Problem]:
    """Yield each piece of code in a fix that stands in no statement with a source."""
    sourced = "\n".join(statement.text for statement in entry.statements if statement.sources)
    for cause in entry.causes:
        sources_above = False
        for statement in cause.fix:
            sources_above = sources_above or bool(statement.sources)
            if statement.sources or (statement.text.startswith("```") and sources_above):
                continue
            for code in codes(statement):
                if code not in sourced:
                    yield _at(knowledge, entry, f"`{code[:60]}` in a fix has no source", "body", code.split("\n")[0])


def codes(statement: Statement) -> list[str]:
    """Return the contents of the code spans and blocks of a statement."""
    return [(found.group(1) or found.group(2) or "").strip() for found in _CODE.finditer(statement.text)]


def _shared_aliases(knowledge: Knowledge) -> Iterator[Problem]:
    """No two entries answer to the same name, however it is written."""
    owners: dict[tuple[str, ...], tuple[AnyEntry, str]] = {}
    for entry in knowledge.entries.values():
        for name in (entry.title, *entry.aliases):
            owner, same = owners.setdefault(name_words(plain(name)), (entry, name))
            if owner.id != entry.id:
                yield _at(knowledge, entry, f"{name!r} is also a name of {owner.id}: {same!r}", "aliases", name)


def _shared_signatures(knowledge: Knowledge) -> Iterator[Problem]:
    """A message that leads to several entries needs a fork that knows them all."""
    owners: dict[str, list[ErrorEntry]] = defaultdict(list)
    for entry in knowledge.errors:
        for signature in entry.signatures:
            owners[signature.casefold().strip(" .:!")].append(entry)
    for signature, entries in owners.items():
        ids = {entry.id for entry in entries}
        if len(ids) < 2:
            continue
        if not any(ids <= {option.entry for option in fork.options} for fork in knowledge.forks):
            others = ", ".join(sorted(ids - {entries[0].id}))
            yield _at(knowledge, entries[0], f"{signature!r} leads to {others} too, and no fork decides", "signatures")


def _deaf_clues(knowledge: Knowledge) -> Iterator[Problem]:
    """What stands in a fork's own message speaks for none of its options."""
    for fork in knowledge.forks:
        for option in fork.options:
            entry = knowledge.entries.get(option.entry)
            own = entry.clues if isinstance(entry, ErrorEntry) else ()
            for clue in (*option.clues, *own):
                if any(clue.casefold() in signature.casefold() for signature in fork.signatures):
                    where = fork if clue in option.clues else entry or fork
                    yield _at(knowledge, where, f"{clue!r} stands in the message of {fork.id}", "clues", clue)


def _renamed(knowledge: Knowledge) -> Iterator[Problem]:
    """No fix tells people to use a name that is gone."""
    for entry in knowledge.errors:
        for cause in entry.causes:
            for statement in cause.fix:
                for code in codes(statement):
                    for old, new in RENAMED.items():
                        if re.search(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])", code):
                            yield _at(knowledge, entry, f"{old} is called {new} now", "body", old)


def _lines(knowledge: Knowledge) -> Iterator[Problem]:
    """Summaries and definitions are one line that is read in a glance."""
    entries: list[ErrorEntry | GlossaryEntry] = [*knowledge.errors, *knowledge.terms]
    for entry in entries:
        if len(entry.line) > MAX_LINE:
            field = "summary" if isinstance(entry, ErrorEntry) else "definition"
            yield _at(knowledge, entry, f"is {len(entry.line)} characters long; {MAX_LINE} at most", field)


def _unwritten(knowledge: Knowledge) -> Iterator[Problem]:
    """Nothing of a new entry's skeleton is left."""
    for entry in knowledge.entries.values():
        titles = (source.title for source in entry.sources.values())
        for text in (*(statement.text for statement in entry.statements), *titles):
            if text.startswith(TBD):
                yield _at(knowledge, entry, f"is still to be written: {text}", "body", text)


def _islands(knowledge: Knowledge) -> Iterator[Problem]:
    """Every built-in entry leads on to others, and others lead to it; an error names the terms it is told in."""
    named = {entry.id: {(field, other) for field, other, _ in _named(entry)} for entry in knowledge.entries.values()}
    linked = {other for links in named.values() for _, other in links}
    entries: list[ErrorEntry | GlossaryEntry] = [*knowledge.errors, *knowledge.terms]
    for entry in entries:
        if not knowledge.files[entry.id].is_relative_to(BUILT_IN):
            continue
        if entry.id not in linked:
            yield _at(knowledge, entry, "no other entry leads to it", "id")
        for field in ("related", "terms") if isinstance(entry, ErrorEntry) else ("related",):
            if not any(name == field for name, _ in named[entry.id]):
                yield _at(knowledge, entry, f"leads on to no other entry by {field}", field)


def _aged(knowledge: Knowledge, today: date) -> Iterator[Problem]:
    """An entry that nobody has verified for a year is no longer trusted."""
    for entry in knowledge.entries.values():
        if entry.verified > today:
            yield _at(knowledge, entry, f"verified on {entry.verified}, which is still to come", "verified")
        elif today - entry.verified > MAX_AGE:
            yield _at(knowledge, entry, f"last verified on {entry.verified}, more than a year ago", "verified")
