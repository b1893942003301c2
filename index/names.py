"""Exact names → entries: titles, terms and aliases that stand word for word in a question."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from kb.entry import AnyEntry, name_words, plain

LONGEST = 12  # words of a name that is looked for
SHORTEST = 5  # letters of a word whose misspelling is corrected: shorter ones are near too many others


@dataclass(frozen=True, slots=True)
class NameHit:
    """A name of `entry` that stands in the question; `words` is its length."""

    entry: str
    name: str
    words: int
    characters: int


class Names:
    """All names, by their words."""

    def __init__(self, entries: Iterable[AnyEntry]) -> None:
        self._entries: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
        for entry in entries:
            for name in (entry.title, *entry.aliases):
                self._entries[name_words(plain(name))].append((entry.id, name))
        self._words = sorted(
            {word for key in self._entries for word in key if len(word) >= SHORTEST and word.isalpha()}
        )

    def find(self, text: str) -> list[NameHit]:
        """Return the names in `text`, the longest first; a name inside a longer found one does not count."""
        words = name_words(text)[:400]
        hits: list[NameHit] = []
        taken: set[int] = set()
        for length in range(min(LONGEST, len(words)), 0, -1):
            for start in range(len(words) - length + 1):
                span = range(start, start + length)
                key = words[start : start + length]
                known = [(entry, name) for entry, name in self._entries.get(key, ()) if _stands(name, text)]
                if known and not taken.issuperset(span):
                    taken.update(span)
                    characters = sum(map(len, key))
                    hits += [NameHit(entry, name, length, characters) for entry, name in known]
        return hits

    def corrected(self, word: str) -> str | None:
        """Return the word of a name that `word` misspells: one letter off, or two in eight and more."""
        if len(word) < SHORTEST or not word.isalpha():
            return None
        found = process.extractOne(word, self._words, scorer=OSA.distance, score_cutoff=2 if len(word) >= 8 else 1)
        return str(found[0]) if found else None


def _stands(name: str, text: str) -> bool:
    """Return whether a name stands in `text`, in which its words do: one word with signs, or a plural that is none,
    needs them. `--keep` is not "keep", TOPS is not "top".
    """
    word = plain(name).casefold()
    marked = not word.isalnum() or (name.isupper() and word.endswith("s"))
    return len(name_words(word)) > 1 or not marked or word in text.casefold()
