"""Error messages → entries, by their signatures: a template is tried only where all its words stand.

Also says how far a message reaches that a terminal or a mail program has wrapped.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kb.template import compile_template, literal_words

MAX_HITS = 20  # of one signature: a log that repeats a failure says no more than that
MAX_MISSES = 50  # of one signature whose words are all there; beyond, no line is read on for it
MAX_WRAPPED = 8  # lines that one message may have been wrapped into
MAX_JOINED = 4_000  # characters of a wrapped message
MAX_WORD = 24  # a line that was wrapped at a blank is shorter than the longest by a word at most

_WORD = re.compile(r"[a-z_]\w+")
_TAIL = re.compile(r"\w+$")
_HEAD = re.compile(r"\w+")
_BEGINS = re.compile(  # a line that cannot continue the message before it
    r'\s*(?:(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning|Failure)\b(?::|$)|Traceback|File "'
    r"|During handling|The above exception|(?i:error|warning|info|fatal|debug|critical)\b ?[:\]])|\s+at "
)


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


@dataclass(frozen=True, slots=True, order=True)
class _Template:
    """One signature of one entry, and the words without which it cannot match."""

    signature: str
    entry: str
    words: frozenset[str] = field(compare=False)


class Signatures:
    """All templates of a knowledge base, keyed by the rarest literal word of each."""

    def __init__(self, templates: Iterable[tuple[str, str]]) -> None:
        """:param templates: pairs of (signature, entry id)."""
        known = {(signature, entry) for signature, entry in templates}
        frequency = Counter(word for signature, _ in known for word in set(literal_words(signature)))
        self._words = frozenset(frequency)
        self._by_anchor: dict[str, list[_Template]] = defaultdict(list)
        for signature, entry in known:
            words = literal_words(signature)
            anchor = min(words, key=lambda word: (frequency[word], -len(word)))
            self._by_anchor[anchor].append(_Template(signature, entry, frozenset(words)))
        self._anchors = frozenset(self._by_anchor)

    def find(self, lines: Sequence[str]) -> list[SignatureHit]:
        """Return the hits in `lines`, in order, at most `MAX_HITS` of one signature.

        A line that does not match alone is read on into the lines over which its message may have been wrapped.
        """
        words = [
            self._words.intersection([*_WORD.findall(line.lower()), _across(line, following)])
            for line, following in zip(lines, [*lines[1:], ""], strict=True)
        ]
        counts: Counter[_Template] = Counter()
        misses: Counter[_Template] = Counter()
        hits: list[SignatureHit] = []
        for position, line in enumerate(lines):
            near = words[position].union(*words[position + 1 : position + MAX_WRAPPED])
            templates = [template for template in self._complete(near) if counts[template] < MAX_HITS]
            reads_on = any(misses[template] < MAX_MISSES for template in templates)
            texts = [line, *readings(wrapped(lines, position))] if reads_on else [line]
            for template in templates:
                found = _first_match(template, texts)
                if found:
                    start, end = found.span()
                    hits.append(
                        SignatureHit(template.entry, template.signature, position, start, end, found.groups(""))
                    )
                    counts[template] += 1
                else:
                    misses[template] += 1
        return hits

    def _complete(self, words: frozenset[str]) -> list[_Template]:
        """Return the templates all of whose words are among `words`."""
        anchors = words & self._anchors
        found = [template for anchor in anchors for template in self._by_anchor[anchor] if template.words <= words]
        return sorted(found)


def wrapped(lines: Sequence[str], position: int) -> list[str]:
    """Return the line at `position` and those that may continue it: all but the last about equally long."""
    block = [lines[position]]
    for line in lines[position + 1 : position + MAX_WRAPPED]:
        width = max(map(len, block))
        shorter = min(MAX_WORD, width // 2)
        ended = len(block) > 1 and not (width - shorter <= len(block[-1]) and len(line) <= width + shorter)
        if ended or _BEGINS.match(line):
            break
        block.append(line)
    return block


def readings(block: Sequence[str]) -> list[str]:
    """Return what a message of several lines may read: wrapped between words, or cut at a width, even in a word."""
    if len(block) < 2:
        return []
    width = max(len(line) for line in block[:-1])
    between = " ".join([block[0].rstrip(), *(line.strip() for line in block[1:])])
    within = "".join(f"{line} " if len(line) == width - 1 else line for line in block)  # a blank at the end was lost
    return [between[:MAX_JOINED], within[:MAX_JOINED]]


def _first_match(template: _Template, texts: Sequence[str]) -> re.Match[str] | None:
    """Return the match in the first text that has one; it begins in the line that all of them begin with."""
    expression = compile_template(template.signature)
    for text in texts:
        found = expression.search(text[:MAX_JOINED])
        if found and found.start() < len(texts[0]):
            return found
    return None


def _across(line: str, following: str) -> str:
    """Return the word that stands across the end of `line`, in lower case; nothing where none does."""
    tail, head = _TAIL.search(line[-MAX_WORD:]), _HEAD.match(following[:MAX_WORD])
    return (tail.group() + head.group()).lower() if tail and head else ""
