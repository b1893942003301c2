"""Turns → the question that is meant: alone, or together with the earlier turn that it leans on.

Knows conversations; knows nothing of cards and pages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index.embed import Encoder
from index.generation import Generation
from index.words import content_tokens
from kb.entry import Fork, GlossaryEntry, Option
from kb.failures import BadInput
from rag.answer import Question
from rag.decide import ENOUGH, confidence, decide
from rag.question import read
from rag.retrieve import Match, asks_meaning, retrieve

SHORT = 12  # words; a later turn this short may lean on an earlier one
REMEMBERED = 8  # turns that are looked back

_LEANS = re.compile(
    r"(?i)^\W*(?:and|or|but|also|then|so|what about|how about|with|on|in|while)\b"
    r"|\b(?:it|that|this|they|them|those|these)\b"
)
_POLITE = frozenset(
    ["ok", "okay", "yes", "no", "yep", "nope", "thanks", "thank", "please", "hi", "hello", "hey", "sorry", "hm", "hmm"]
)


@dataclass(frozen=True, slots=True)
class Understood:
    """The question as it was understood, what was found for it, and the option of a fork that was picked."""

    question: Question
    matches: list[Match]
    option: Option | None = None


def understand(question: Question, before: Sequence[str], generation: Generation, encoder: Encoder) -> Understood:
    """Retrieve for the last turn, together with one of those `before` where it leans on one."""
    earlier = _readable(before[-REMEMBERED:])
    for turn in earlier:
        question = replace(question, hints=question.hints | turn.hints)
    picked = _picked(question, earlier, generation, encoder) if earlier else None
    if picked:
        return picked
    alone = retrieve(question, generation, encoder)
    subject = None if _stands_alone(question, alone, generation) else _subject(earlier, generation, encoder)
    if subject is None:
        return Understood(question, alone)
    asks = asks_meaning(question.words) or asks_meaning(subject.words)
    both = _together(question, subject, said=question.words if asks else "")
    matches = retrieve(both, generation, encoder)
    if confidence(both, matches) < ENOUGH and _LEANS.search(
        question.words
    ):  # it adds only where: "on Windows with a 3060"
        both = replace(subject, hints=question.hints)
        matches = retrieve(both, generation, encoder)
    return Understood(both, matches)


def _readable(turns: Sequence[str]) -> list[Question]:
    """Return the turns in which somebody said something, the latest first."""
    found = []
    for turn in reversed(turns):
        try:
            question = read(turn)
        except BadInput:
            continue
        if set(content_tokens(question.words)) - _POLITE:
            found.append(question)
    return found


def _picked(question: Question, earlier: list[Question], generation: Generation, encoder: Encoder) -> Understood | None:
    """Return the option that the last turn names word for word, with the turn whose question it answers."""
    said = question.text.strip().casefold()
    forks = [entry for entry in generation.entries.values() if isinstance(entry, Fork)]
    options = {fork.id: one for fork in forks for one in fork.options if one.label.casefold() == said}
    if not options:
        return None
    for turn in earlier:
        matches = retrieve(turn, generation, encoder)
        fork = decide(turn, matches, generation).fork
        if fork and fork.id in options:
            return Understood(replace(turn, hints=question.hints), matches, options[fork.id])
    return None


def _stands_alone(question: Question, matches: list[Match], generation: Generation) -> bool:
    """Return whether a turn needs no earlier one.

    It is long or shows an error; or it leans on nothing, and is either sure or speaks of something unknown to us.
    """
    if question.is_log or question.errors or len(question.words.split()) > SHORT:
        return True
    if _LEANS.search(question.words):
        return False
    if matches and confidence(question, matches) >= ENOUGH:
        is_term = isinstance(generation.entries[matches[0].entry], GlossaryEntry)
        return not is_term or asks_meaning(question.words)
    return any(not generation.words.having(word) for word in content_tokens(question.words))


def _subject(earlier: list[Question], generation: Generation, encoder: Encoder) -> Question | None:
    """Return the latest earlier turn that says what the talk is about, or else simply the latest."""
    for turn in earlier:
        matches = retrieve(turn, generation, encoder)
        if matches and confidence(turn, matches) >= ENOUGH:
            return turn
    return earlier[0] if earlier else None


def _together(question: Question, subject: Question, said: str) -> Question:
    """Return both turns as one question; `said` is what alone may name the entry."""
    return replace(
        question,
        lines=tuple(dict.fromkeys((*question.lines, *subject.lines))),
        words=f"{question.words}\n{subject.words}",
        said=said,
        is_log=subject.is_log,
    )
