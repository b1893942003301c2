"""Matches → answer, ask or abstain. Deterministic; knows what is enough evidence and when one question decides."""

import math
import re
from dataclasses import dataclass

from index.generation import Generation
from index.words import content_tokens
from kb.entry import AnyEntry, ErrorEntry, Fork, GlossaryEntry, Option
from rag.answer import Decision, Question
from rag.retrieve import Match, agreement, clues_in, forks_of

ENOUGH = 0.5  # confidence from which there is an answer
CLEAR = 0.75  # by how much one option of a fork must lead

# Log-odds that the first match is right, from its channels; fitted on the development questions, see docs/log.md.
BIAS = -2.88
ODDS = {
    "signature": 0.29,
    "name": 1.33,
    "coverage": 2.96,
    "vectors": 1.83,
    "clues": 0.81,
    "hints": -0.32,
    "lead": 2.75,
    "unknown error": -1.25,
    "elsewhere": -0.61,
    "short": -1.48,
}


_MESSAGE = re.compile(r"\b\w*(?:Error|Exception|ERR!?|FATAL|panic)\b.{0,20}:")
_OURS = re.compile(
    r"(?i)\b(?:gpus?|vram|llms?|models?|weights|checkpoints?|inference|prompts?|token\w*|context|gguf|lora|q\d_\w+"
    r"|quanti[sz]\w*|embeddings?"
    r"|diffusion|sdxl|flux|whisper|safetensors|hugging ?face|hf|chatbots?|graphics cards?|video ?cards?|ai|rag|mlx"
    r"|exllama\w*|kobold\w*|jan|gpt4all)\b"
)


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
    sure = confidence(question, matches)
    if sure < ENOUGH or _no_ground(question, top):
        return Verdict("abstain", min(sure, ENOUGH / 2), match=top)
    entry = generation.entries[top.entry]
    fork = _fork_for(top, entry, generation)
    if fork is None:
        return _answer(entry, sure, top)
    option = clear_option(fork, question, matches, generation)
    if option:
        return _answer(generation.entries[option.entry], sure, top)
    return Verdict("ask", sure, fork=fork, match=top)


def _no_ground(question: Question, top: Match) -> bool:
    """Return whether nothing ties the question to us, however near the words are.

    One word that names nothing we know, such as "error"; or an error that no signature knows, in a text that
    speaks of nothing that an operator of local AI has, such as a KeyError of a person's own program.
    """
    if top.signature or top.name:
        return False
    return len(content_tokens(question.words)) < 2 or bool(_MESSAGE.search(question.words) and not _is_ours(question))


def features(question: Question, matches: list[Match]) -> dict[str, float]:
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
        "unknown error": float(bool(question.errors) and not top.signature and not top.name),
        "elsewhere": float(not (top.signature or top.name or _is_ours(question))),
        "short": 1 / max(1, len(content_tokens(question.words))),
    }


def _is_ours(question: Question) -> bool:
    """Return whether the text speaks of anything that an operator of local AI has: a tool, a card, a model."""
    return bool(question.hints.tools or question.hints.vendors or _OURS.search(question.cleaned))


def confidence(question: Question, matches: list[Match]) -> float:
    """Return the calibrated probability that the first match is what was asked for."""
    if not matches:
        return 0.0
    odds = BIAS + sum(ODDS[name] * value for name, value in features(question, matches).items())
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
