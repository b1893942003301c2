"""Matches → answer, ask or abstain. Deterministic; knows what is enough evidence and when one question decides."""

import math
from dataclasses import dataclass

from index.generation import Generation
from index.words import content_tokens
from kb.entry import AnyEntry, ErrorEntry, Fork, GlossaryEntry, Option
from rag.answer import Decision, Question
from rag.retrieve import Match, agreement, clues_in, forks_of

ENOUGH = 0.5  # confidence from which there is an answer
CLEAR = 0.75  # by how much one option of a fork must lead

# Log-odds that the first match is right, from its channels; fitted on the development questions, see docs/log.md.
BIAS = -3.64
ODDS = {"signature": 2.08, "name": 0.9, "coverage": 2.52, "vectors": 2.72, "clues": 0.66, "hints": 0.01, "lead": 2.5}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be shown: the entry for an answer, the fork for a question, neither for an abstention."""

    decision: Decision
    confidence: float
    entry: ErrorEntry | GlossaryEntry | None = None
    fork: Fork | None = None
    match: Match | None = None


def decide(question: Question, matches: list[Match], generation: Generation, chosen: Option | None = None) -> Verdict:
    """Return what to do with the matches; `chosen` is the option that the person picked after a fork's question."""
    if chosen:
        return _answer(
            generation.entries[chosen.entry], 1.0, next((match for match in matches if match.signature), None)
        )
    if not matches:
        return Verdict("abstain", 0.0)
    top = matches[0]
    sure = confidence(matches)
    if sure < ENOUGH or _says_too_little(question, top):
        return Verdict("abstain", min(sure, ENOUGH / 2), match=top)
    entry = generation.entries[top.entry]
    fork = _fork_for(top, entry, generation)
    if fork is None:
        return _answer(entry, sure, top)
    option = clear_option(fork, question, matches, generation)
    if option:
        return _answer(generation.entries[option.entry], sure, top)
    return Verdict("ask", sure, fork=fork, match=top)


def _says_too_little(question: Question, top: Match) -> bool:
    """Return whether a question is one word that names nothing we know, such as "error"."""
    return not top.signature and not top.name and len(content_tokens(question.words)) < 2


def features(matches: list[Match]) -> dict[str, float]:
    """Return what speaks for the first match being right: its channels, and how far it leads.

    Matches of the same signature are no rivals: between them a fork decides.
    """
    top = matches[0]
    shared = top.signature.signature if top.signature else None
    others = (match for match in matches[1:] if not (match.signature and match.signature.signature == shared))
    second = next((match.score for match in others), 0.0)
    return {
        "signature": float(top.signature is not None),
        "name": top.name,
        "coverage": top.coverage,
        "vectors": top.vectors,
        "clues": float(min(top.clues, 3)),
        "hints": top.hints,
        "lead": min(top.score - second, 1.0),
    }


def confidence(matches: list[Match]) -> float:
    """Return the calibrated probability that the first match is what was asked for."""
    if not matches:
        return 0.0
    odds = BIAS + sum(ODDS[name] * value for name, value in features(matches).items())
    return 1 / (1 + math.exp(-odds))


def clear_option(fork: Fork, question: Question, matches: list[Match], generation: Generation) -> Option | None:
    """Return the option that the question's own words, clues and phase speak for, if one leads clearly."""
    cleaned = _without_signature(question, matches).lower()
    near = {match.entry: match for match in matches}

    def points(option: Option) -> float:
        entry = generation.entries[option.entry]
        match = near.get(option.entry)
        return (
            sum(clue.lower() in cleaned for clue in option.clues)
            + clues_in(entry, cleaned)
            + 4 * agreement(entry, question.hints)
            + (2 * match.vectors + 2 * match.name if match and not question.is_log else 0.0)
        )

    ranked = sorted(fork.options, key=lambda option: -points(option))
    return ranked[0] if points(ranked[0]) - points(ranked[1]) >= CLEAR else None


def _without_signature(question: Question, matches: list[Match]) -> str:
    """Return the text without the words that the signature matched: they speak for all options alike."""
    hit = next((match.signature for match in matches if match.signature), None)
    if hit is None:
        return question.cleaned
    lines = list(question.lines)
    lines[hit.line] = lines[hit.line][: hit.start] + lines[hit.line][hit.end :]
    return "\n".join(lines)


def _fork_for(top: Match, entry: AnyEntry, generation: Generation) -> Fork | None:
    """Return the fork that must be passed: the match itself, or the one that shares the signature that was hit."""
    if isinstance(entry, Fork):
        return entry
    if top.signature is None:
        return None
    shared = top.signature.signature.casefold()
    return next(
        (fork for fork in forks_of(entry.id, generation) if shared in map(str.casefold, fork.signatures)),
        None,
    )


def _answer(entry: AnyEntry, sure: float, match: Match | None) -> Verdict:
    if isinstance(entry, Fork):
        raise TypeError(f"{entry.id} is a fork, not an answer")
    return Verdict("answer", sure, entry=entry, match=match)
