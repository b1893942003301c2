"""Question → matches: four channels (signatures, names, words, vectors), fused, passages pooled into entries."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace

from index.embed import Encoder
from index.generation import Generation
from index.names import NameHit
from index.signatures import SignatureHit
from index.words import content_tokens
from kb.entry import AnyEntry, ErrorEntry, Fork, GlossaryEntry
from rag.answer import Hints, Question

CANDIDATES = 30  # entries or passages taken from each channel
MISSPELLED = 0.3  # how much a corrected word counts as unknown
MAX_WORDS = 48  # tokens of a question that are searched for

# How much each channel counts in the fused score: fitted (benchmarks/fit.py), but for the signature, which decides; docs/log.md.
WEIGHTS = {
    "signature": 2.0,
    "name": 2.0,
    "words": 0.65,
    "coverage": 0.5,
    "vectors": 2.0,
    "clues": 0.15,
    "hints": 1.2,
    "kind": 0.2,
}

_ASKS_MEANING = re.compile(
    r"(?i)^\W*(?:what(?:'s| is| are| does)\b|explain\b|define\b|meaning of|difference between|how (?:does|do) .{2,40} work|was ist|qu'est|que es)"
    r"|\bvs\.?\b|\bstand for\b|\bmean\b"
)
_COMPLAINS = re.compile(
    r"(?i)\b(?:not|n'?t|no longer|never|stopped|stops) (?:work|us|detect|found|find|see|recogni|load|start|show)|crash|broken|\bslow|\bfail|\berror|\bstuck|\bhangs?\b|\bfreez"
)
_LETTERS = re.compile(r"[A-Za-z]{5,}")
_COMPATIBLE = {"wsl": {"linux", "windows"}, "docker": {"linux", "windows", "wsl", "macos"}}


@dataclass(frozen=True, slots=True)
class Match:
    """One entry with what each channel says of it."""

    entry: str
    signature: SignatureHit | None = None
    name: float = 0.0  # share of the question's letters that are a name of the entry
    words: float = 0.0  # BM25, as a share of the best
    coverage: float = 0.0  # share of the question's information that stands in the entry
    vectors: float = 0.0  # cosine of the nearest passage
    clues: int = 0
    hints: float = 0.0
    kind: float = 0.0

    def channels(self) -> dict[str, float]:
        """Return what each channel says, by the names in WEIGHTS."""
        return {
            "signature": _strength(self.signature) if self.signature else 0.0,
            "name": self.name,
            "words": self.words,
            "coverage": self.coverage,
            "vectors": self.vectors,
            "clues": float(min(self.clues, 4)),
            "hints": self.hints,
            "kind": self.kind,
        }

    @property
    def score(self) -> float:
        """The fused score."""
        return sum(WEIGHTS[channel] * value for channel, value in self.channels().items())


def retrieve(question: Question, generation: Generation, encoder: Encoder) -> list[Match]:
    """Return the entries that any channel found, best first."""
    question, misspelled = _spelled(question, generation)
    signatures = _best_hits(generation.signatures.find(question.lines), question)
    named = generation.names.find(question.said) or generation.names.find(question.words)
    names = _name_shares(named, question)
    tokens = content_tokens(question.words)[:MAX_WORDS]
    bm25 = dict(generation.words.search(tokens, CANDIDATES))
    coverage = _coverage(tokens, misspelled, generation)
    # Where all signatures agree, the embedder is not asked: on the command line it would take seconds to load.
    agreed = len({hit.signature for hit in signatures.values()}) == 1
    cosines = {} if agreed else _cosines(question, generation, encoder)
    best = max(bm25.values(), default=0.0)
    complains = bool(_COMPLAINS.search(question.words))
    asks = asks_meaning(question.said or question.words) and not question.is_log
    cleaned = question.cleaned.lower()
    matches = []
    for key in {*signatures, *names, *bm25, *cosines}:
        entry = generation.entries[key]
        matches.append(
            Match(
                entry=key,
                signature=signatures.get(key),
                name=names.get(key, 0.0) * (0.5 if complains and isinstance(entry, GlossaryEntry) else 1.0),
                words=bm25.get(key, 0.0) / best if best else 0.0,
                coverage=coverage.get(key, 0.0),
                vectors=cosines.get(key, 0.0),
                clues=clues_in(entry, cleaned),
                hints=agreement(entry, question.hints),
                kind=float(isinstance(entry, GlossaryEntry) == asks) if not question.is_log else 0.0,
            )
        )
    return sorted(matches, key=lambda match: (-match.score, match.entry))


def _spelled(question: Question, generation: Generation) -> tuple[Question, list[str]]:
    """Return the question with words that stand in no entry replaced by the name that they misspell, and those words.

    They still count a little against the coverage: a printer is no pointer.
    """
    if question.is_log:
        return question, []
    words, misspelled = question.words, []
    for word in dict.fromkeys(_LETTERS.findall(words)[:MAX_WORDS]):
        lower = word.lower()
        right = None if generation.words.having(lower) else generation.names.corrected(lower)
        if right:
            words = re.sub(rf"\b{word}\b", right, words)
            misspelled.append(lower)
    return replace(question, words=words), misspelled


def asks_meaning(words: str) -> bool:
    """Return whether somebody asks what something is, rather than why it fails."""
    return bool(_ASKS_MEANING.search(words))


def clues_in(entry: AnyEntry, cleaned: str) -> int:
    """Return how many clues of `entry` stand in the lower-case text."""
    return sum(clue.lower() in cleaned for clue in entry.clues) if isinstance(entry, ErrorEntry) else 0


def agreement(entry: AnyEntry, hints: Hints) -> float:
    """Return how well the entry's platforms, vendors, tools and phases agree with the hints: positive for, negative against."""
    if not isinstance(entry, ErrorEntry):
        return 0.0
    score = 0.0
    if entry.vendors and hints.vendors:
        score += 0.1 if hints.vendors & set(entry.vendors) else -0.4
    if entry.platforms and hints.platforms:
        score += 0.05 if compatible(entry.platforms, hints.platforms) else -0.3
    if entry.tools and hints.tools:
        score += 0.15 if hints.tools & set(entry.tools) else -0.1
    if hints.phases & set(entry.phases):
        score += 0.1
    return score


def compatible(tags: tuple[str, ...], platforms: frozenset[str]) -> bool:
    """Return whether something that holds on the platforms `tags` can hold for somebody on `platforms`."""
    reachable = set(platforms).union(*(_COMPATIBLE.get(platform, set()) for platform in platforms))
    return bool(reachable & set(tags))


def _strength(hit: SignatureHit) -> float:
    """Return 1 for a bare hit, up to 1.5 for a long and so unmistakable one."""
    return 1.0 + min(hit.weight, 60) / 120


def _best_hits(hits: list[SignatureHit], question: Question) -> dict[str, SignatureHit]:
    """Return for each entry its longest hit; of equals the first, for the first error is the cause of the others."""
    best: dict[str, SignatureHit] = {}
    for hit in sorted(hits, key=lambda hit: (-hit.weight, hit.line)):
        best.setdefault(hit.entry, hit)
    return best


def _name_shares(hits: list[NameHit], question: Question) -> dict[str, float]:
    """Return which share of the question's own letters are a name of each entry."""
    said = question.said or question.words
    telling = set(content_tokens(said))
    letters = sum(len(word) for word in set(re.findall(r"[^\W_]+", said.lower())) if word in telling) or 1
    shares: dict[str, float] = defaultdict(float)
    for hit in hits:
        shares[hit.entry] = max(shares[hit.entry], min(1.0, hit.characters / letters) if not question.is_log else 0.1)
    return dict(shares)


def _coverage(tokens: list[str], misspelled: list[str], generation: Generation) -> dict[str, float]:
    """Return which share of the question's information (inverse document frequency) stands in each entry."""
    count = len(generation.entries)
    total = len(misspelled) * MISSPELLED * math.log(1 + count / 0.5)  # as for words that stand nowhere
    found: dict[str, float] = defaultdict(float)
    for token in tokens:
        having = generation.words.having(token)
        information = math.log(1 + count / (len(having) + 0.5))
        total += information
        for key in having:
            found[key] += information
    return {key: value / total for key, value in found.items()}


def _cosines(question: Question, generation: Generation, encoder: Encoder) -> dict[str, float]:
    """Return the cosine of each entry's nearest passage."""
    vector = encoder.encode([question.words])[0]
    cosines: dict[str, float] = {}
    for position, cosine in generation.vectors.search(vector, CANDIDATES * 4):
        cosines.setdefault(generation.passages[position].entry, cosine)
    return cosines


def forks_of(entry: str, generation: Generation) -> list[Fork]:
    """Return the forks that lead to `entry`."""
    return [
        other
        for other in generation.entries.values()
        if isinstance(other, Fork) and any(option.entry == entry for option in other.options)
    ]
