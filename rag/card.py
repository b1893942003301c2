"""Verdict → card and citations: composed from the entry alone, without any model; each statement with its number."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from index.generation import Generation
from kb.entry import AnyEntry, Cause, ErrorEntry, Fork, GlossaryEntry, Statement, plain
from rag.answer import Answer, Block, Card, Citation, Hints, Item, Links, Question, SourceLink
from rag.decide import Verdict
from rag.numbers import sentences
from rag.retrieve import Match, compatible

OPEN_CAUSES = 3  # the likeliest are read in ten seconds; the rest is folded
NEAREST = 3  # entries named when nothing fits

NOTHING = "Nothing in the knowledge base fits this."
HOW_TO_ASK = (
    "What would help: the exact error message, the ten lines before it, which program printed it, "
    "and the command that was run."
)


class Numbering:
    """Gives each quoted statement its number, in the order in which they are shown."""

    def __init__(self) -> None:
        self._citations: dict[tuple[str, int], Citation] = {}

    def item(self, entry: AnyEntry, statement: Statement) -> Item:
        """Return `statement` as it is shown, and note what it cites."""
        key = (entry.id, statement.start)
        if key not in self._citations:
            around = [
                other
                for other in entry.statements
                if (other.section, other.heading) == (statement.section, statement.heading)
            ]
            first, last = around[0].start, around[-1].end
            keys = statement.sources or _sources_around(entry, around)
            self._citations[key] = Citation(
                n=len(self._citations) + 1,
                entry=entry.id,
                title=entry.title,
                aliases=entry.aliases,
                signatures=entry.signatures,
                section=" · ".join(part for part in (statement.section, _untagged(statement.heading)) if part),
                quote=statement.text,
                start=statement.start,
                end=statement.end,
                passage=entry.text[first:last],
                passage_start=first,
                sources=tuple(SourceLink(entry.sources[key].title, entry.sources[key].url) for key in keys),
                direct=bool(statement.sources),
            )
        return Item(shown(statement.text), self._citations[key].n, statement.label, statement.step, statement.bullet)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All citations, by number."""
        return tuple(self._citations.values())


def _sources_around(entry: AnyEntry, around: list[Statement]) -> tuple[str, ...]:
    """Return the sources of a passage; a summary has those of the overview or the explanation below it."""
    if around[0].section == "Summary":
        around = [one for one in entry.statements if one.section in ("Summary", "Overview", "Explanation")]
    return tuple(dict.fromkeys(key for one in around for key in one.sources))


def compose(
    verdict: Verdict, question: Question, matches: list[Match], generation: Generation
) -> tuple[Card, tuple[Citation, ...]]:
    """Return the card for a verdict, and the citations that its numbers stand for."""
    numbering = Numbering()
    entry = verdict.fork or verdict.entry
    card = (
        _card_of(entry, question.hints, generation, numbering) if entry else _abstention(matches, generation, numbering)
    )
    line, facts = _from_their_log(verdict, question)
    return replace(card, facts=tuple(facts), line=line), numbering.citations


def entry_card(identity: str, generation: Generation) -> Answer:
    """Return one entry whole, as the answer of somebody who asked for it by name."""
    numbering = Numbering()
    card = _card_of(generation.entries[identity], Hints(), generation, numbering)
    return Answer("answer", 1.0, card, numbering.citations, ())


def _card_of(entry: AnyEntry, hints: Hints, generation: Generation, numbering: Numbering) -> Card:
    if isinstance(entry, ErrorEntry):
        return _error_card(entry, hints, generation, numbering)
    if isinstance(entry, GlossaryEntry):
        return _term_card(entry, generation, numbering)
    return _fork_card(entry, generation, numbering)


def _error_card(entry: ErrorEntry, hints: Hints, generation: Generation, numbering: Numbering) -> Card:
    causes, others = _in_order(entry.causes, hints)
    lead = _items(entry, ("Summary", "Overview"), numbering)
    blocks = [
        Block(
            cause.title,
            tuple(numbering.item(entry, statement) for statement in (*cause.tell, *cause.fix)),
            "cause",
            position < OPEN_CAUSES,
        )
        for position, cause in enumerate(causes)
    ]
    blocks += _sections(entry, ("Does not help", "Check"), numbering, {"Check": "Check that it worked"})
    links = _links(generation, {"Related": entry.related, "Terms": entry.terms})
    return Card(entry.title, lead, tuple(blocks), others=others, links=links)


def _term_card(entry: GlossaryEntry, generation: Generation, numbering: Numbering) -> Card:
    lead = _items(entry, ("Summary",), numbering)
    blocks = _sections(entry, ("Explanation", "Example"), numbering)
    blocks += _sections(entry, ("Where you meet it",), numbering, is_open=False)
    blocks += _sections(entry, ("Questions",), numbering, is_open=False)
    for pair in (statement for statement in entry.statements if statement.section == "Confused with"):
        other = generation.entries.get(pair.heading)
        if other:
            blocks.append(Block(f"Not the same: {other.title}", (numbering.item(entry, pair),), open=False))
    links = _links(generation, {"When it does not work": entry.errors, "Related": entry.related})
    return Card(entry.title, lead, tuple(blocks), links=links)


def _links(generation: Generation, named: dict[str, tuple[str, ...]]) -> tuple[Links, ...]:
    """Return the entries that are named and there, by what they are to this one."""
    links = []
    for label, identities in named.items():
        entries = [generation.entries[identity] for identity in identities if identity in generation.entries]
        if entries:
            links.append(Links(label, tuple((entry.title, _question_for(entry)) for entry in entries)))
    return tuple(links)


def _question_for(entry: AnyEntry) -> str:
    """Return what a person would type to be shown `entry`."""
    return f"What is {entry.title}?" if isinstance(entry, GlossaryEntry) else entry.title


def _fork_card(fork: Fork, generation: Generation, numbering: Numbering) -> Card:
    """What all options share, then for each its summary and how to tell it."""
    lead = _items(fork, ("Summary",), numbering)
    blocks = []
    for option in fork.options:
        entry = generation.entries[option.entry]
        telling = [statement for statement in entry.statements if statement.section == "Summary"]
        if isinstance(entry, ErrorEntry):
            telling += entry.causes[0].tell[:1]
        blocks.append(Block(option.label, tuple(numbering.item(entry, statement) for statement in telling), "option"))
    return Card(fork.title, lead, tuple(blocks))


def _abstention(matches: list[Match], generation: Generation, numbering: Numbering) -> Card:
    """The nearest entries, so that a person can judge for themselves."""
    blocks = []
    for match in matches[:NEAREST]:
        entry = generation.entries[match.entry]
        blocks.append(Block(entry.title, _items(entry, ("Summary",), numbering)[:1], "option", False))
    return Card(NOTHING, (), tuple(blocks))


def _in_order(causes: tuple[Cause, ...], hints: Hints) -> tuple[list[Cause], int]:
    """Put the causes tagged with what the person has first; drop and count those of other platforms and vendors."""
    kept = [cause for cause in causes if _possible(cause, hints)]
    mine = {*hints.platforms, *hints.vendors, *hints.tools, *hints.phases}
    return sorted(kept, key=lambda cause: not mine & set(cause.tags)), len(causes) - len(kept)


def _possible(cause: Cause, hints: Hints) -> bool:
    platforms = tuple(tag for tag in cause.tags if tag in ("linux", "windows", "wsl", "macos", "docker"))
    vendors = {tag for tag in cause.tags if tag in ("nvidia", "amd", "intel", "apple", "cpu")}
    if platforms and hints.platforms and not compatible(platforms, hints.platforms):
        return False
    return not (vendors and hints.vendors and not vendors & hints.vendors)


def _items(entry: AnyEntry, sections: Iterable[str], numbering: Numbering) -> tuple[Item, ...]:
    return tuple(numbering.item(entry, statement) for statement in entry.statements if statement.section in sections)


def _sections(
    entry: AnyEntry,
    sections: Iterable[str],
    numbering: Numbering,
    titles: dict[str, str] | None = None,
    is_open: bool = True,
) -> list[Block]:
    """Return a block for each section, or for each question in it."""
    blocks = []
    chosen = [statement for section in sections for statement in entry.statements if statement.section == section]
    for (section, heading), group in groupby(chosen, key=lambda statement: (statement.section, statement.heading)):
        title = heading or (titles or {}).get(section, section)
        blocks.append(Block(title, tuple(numbering.item(entry, statement) for statement in group), open=is_open))
    return blocks


def _from_their_log(verdict: Verdict, question: Question) -> tuple[str, list[str]]:
    """Return the line of the log that decided, and what its numbers say."""
    hit = verdict.match.signature if verdict.match else None
    if hit is None or verdict.decision == "abstain":
        return "", []
    line = question.lines[hit.line].strip()
    return line, sentences(question.lines, hit.line)


def shown(text: str) -> str:
    """Return a statement's Markdown as it is shown: no footnotes, continuation lines moved to the margin."""
    first, _, rest = plain(text).partition("\n")
    body = first.rstrip() + ("\n" + textwrap.dedent(rest) if rest else "")
    return re.sub(r"[ \t]+(?=\n|$)", "", body).strip()


def _untagged(heading: str) -> str:
    return re.sub(r"\s*\{[^{}]*\}\s*$", "", heading)
