"""Entry → passages. Pure; section-aware; code blocks, tables and numbered steps are never split."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from index.embed import Encoder
from index.passage import Passage
from kb.entry import AnyEntry, Entry, Statement

RULES = "names, then statements of one heading joined up to the window; 1"  # change it when this file cuts differently

_SENTENCE = re.compile(r"([.!?](?:\[\^[\w.-]+\])*)\s+(?=\S)")  # its footnotes belong to it


def cut(entry: AnyEntry, encoder: Encoder) -> list[Passage]:
    """Return the passages of `entry`: its title and each alias alone, then its statements, joined per heading.

    They fit the encoder's window by its own count of tokens; only a code block, a table or a step may be longer.
    """
    count_tokens = encoder.count_tokens
    passages = list(_names(entry))
    for (section, heading), group in groupby(
        entry.statements, key=lambda statement: (statement.section, statement.heading)
    ):
        context = " · ".join(part for part in (entry.title, heading) if part)
        room = encoder.window - count_tokens(context)
        for start, end in _joined([*_sized(entry, group, count_tokens, room)], entry.text, count_tokens, room):
            passages.append(Passage(entry.id, section, start, end, entry.text[start:end], context))
    return passages


def _names(entry: AnyEntry) -> Iterator[Passage]:
    """Yield the title and each alias as passages of their own: short questions are nearest to short names."""
    yield Passage(entry.id, "Names", 0, len(entry.title), entry.title)
    start = len(entry.text) - len("\n".join(entry.aliases))
    for alias in entry.aliases if isinstance(entry, Entry) or entry.aliases else ():
        yield Passage(entry.id, "Names", start, start + len(alias), alias)
        start += len(alias) + 1


def _sized(
    entry: AnyEntry, statements: Iterator[Statement], count_tokens: Callable[[str], int], room: int
) -> Iterator[tuple[int, int]]:
    """Yield the spans of `statements`; a paragraph that is too long comes as its sentences."""
    for statement in statements:
        whole = statement.step or "```" in statement.text or "\n|" in statement.text
        if whole or count_tokens(statement.text) <= room:
            yield statement.start, statement.end
            continue
        start = statement.start
        for found in _SENTENCE.finditer(statement.text):
            yield start, statement.start + found.end(1)
            start = statement.start + found.end()
        yield start, statement.end


def _joined(
    spans: list[tuple[int, int]], text: str, count_tokens: Callable[[str], int], room: int
) -> Iterator[tuple[int, int]]:
    """Join neighbouring spans as long as they fit into `room` tokens."""
    start, end = spans[0]
    for next_start, next_end in spans[1:]:
        if count_tokens(text[start:next_end]) > room:
            yield start, end
            start = next_start
        end = next_end
    yield start, end
