"""Error messages → entries, by their signatures: one pass, a template is tried only where its rarest word stands."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kb.template import compile_template, literal_words

_WORD = re.compile(r"[a-z_]\w+")


@dataclass(frozen=True, slots=True)
class SignatureHit:
    """A line in which the signature of an entry stands; `values` fill its holes, in order."""

    entry: str
    signature: str
    line: int  # position in the lines that were given
    start: int  # of the match within the line
    end: int
    values: tuple[str, ...]

    @property
    def weight(self) -> int:
        """How much literal text was matched: the longer, the surer."""
        return sum(len(word) for word in literal_words(self.signature))


class Signatures:
    """All templates of a knowledge base, keyed by the rarest literal word of each."""

    def __init__(self, templates: Iterable[tuple[str, str]]) -> None:
        """:param templates: pairs of (signature, entry id)."""
        pairs = list(templates)
        frequency = Counter(word for signature, _ in pairs for word in set(literal_words(signature)))
        self._by_anchor: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for signature, entry in pairs:
            anchor = min(literal_words(signature), key=lambda word: (frequency[word], -len(word)))
            self._by_anchor[anchor].append((signature, entry))
        self._anchors = set(self._by_anchor)

    def find(self, lines: Sequence[str]) -> list[SignatureHit]:
        """Return every hit in `lines`; a line that was wrapped is also tried joined with the next."""
        hits: list[SignatureHit] = []
        words = [set(_WORD.findall(line.lower())) & self._anchors for line in lines]
        for position, anchors in enumerate(words):
            for signature, entry in sorted({pair for anchor in anchors for pair in self._by_anchor[anchor]}):
                expression = compile_template(signature)
                for first in (position, position - 1):
                    joined = _joined(lines, position, first)
                    found = expression.search(joined) if joined else None
                    if found:
                        hits.append(SignatureHit(entry, signature, first, found.start(), found.end(), found.groups("")))
                        break
        return hits


def _joined(lines: Sequence[str], position: int, first: int) -> str:
    """Return the line at `first`, joined with the following one (which ends a wrapped message)."""
    if first < 0:
        return ""
    following = lines[first + 1] if first + 1 < len(lines) else ""
    return f"{lines[first].rstrip()} {following.lstrip()}"[:4000]
