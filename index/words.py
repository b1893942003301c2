"""Words → entries: SQLite FTS5 with BM25 over weighted fields, and a tokenizer of ours on both sides.

The tokenizer keeps identifiers whole *and* in parts: `cudaErrorNoKernelImageForDevice`, `-DGGML_CUDA=on`,
`HSA_OVERRIDE_GFX_VERSION`, `n_ctx`, `Q4_K_M`.
"""

import re
import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from kb.entry import AnyEntry, Entry, ErrorEntry, Fork, plain
from kb.failures import IndexDamaged

WEIGHTS = {"title": 6.0, "names": 6.0, "signatures": 3.0, "summary": 2.0, "body": 1.0}  # tuned: docs/log.md

_CHUNK = re.compile(r"[^\W_]+(?:[-_.:=/+*]*[^\W_]+)*", re.UNICODE)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_STOP = frozenset(
    (
        "a an and any are as at be been but by can could did do does for from get gets getting had has have how i "
        "if in into is it its just me my no not of on or so than that the their them then there they this to up "
        "use used using want was we what when which while who why will with would you your im ive dont doesnt cant "
    ).split()
)


def tokens(text: str) -> list[str]:
    """Return the search tokens of `text`, lower case, in order: words, identifiers whole, and their parts."""
    found: list[str] = []
    for chunk in _CHUNK.findall(text):
        whole = re.sub(r"[\W_]+", "_", chunk.lower())
        found.append(whole)
        parts = [part.lower() for part in _PART.findall(chunk)]
        if len(parts) > 1 or (parts and parts[0] != whole):
            found += [part for part in parts if len(part) > 1]
            found += [piece for piece in whole.split("_") if len(piece) > 1 and piece not in parts and piece != whole]
    return found


def content_tokens(text: str) -> list[str]:
    """Return the distinct tokens of `text` that carry meaning."""
    return [token for token in dict.fromkeys(tokens(text)) if token not in _STOP and len(token) > 1]


class Words:
    """A full-text index of entries in one SQLite file, opened for reading only; closed when nobody uses it any more."""

    def __init__(self, file: Path) -> None:
        """:raises IndexDamaged: where the file is no such index."""
        try:
            self._connection = sqlite3.connect(
                f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._closed = weakref.finalize(self, self._connection.close)  # a question may outlive its generation
            self.count = int(self._connection.execute("SELECT count(*) FROM entries").fetchone()[0])
        except sqlite3.Error as fault:
            raise IndexDamaged(f"The word index {file.name} cannot be read ({fault}).", "Run: oomph index") from fault

    @staticmethod
    def write(file: Path, entries: Iterable[AnyEntry]) -> None:
        """Write a new index of `entries` to `file`."""
        with closing(sqlite3.connect(file)) as connection, connection:
            columns = ", ".join(WEIGHTS)
            how = "tokenize=\"porter unicode61 tokenchars '_'\""
            connection.execute(f"CREATE VIRTUAL TABLE entries USING fts5(id UNINDEXED, {columns}, {how})")
            rows = ([entry.id, *(" ".join(tokens(field)) for field in _fields(entry))] for entry in entries)
            connection.executemany(f"INSERT INTO entries VALUES (?{', ?' * len(WEIGHTS)})", rows)
            connection.execute("INSERT INTO entries(entries) VALUES ('optimize')")

    def search(self, words: Sequence[str], limit: int) -> list[tuple[str, float]]:
        """Return up to `limit` (entry id, BM25 score), best first; a higher score is better."""
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        weights = ", ".join(str(weight) for weight in (0.0, *WEIGHTS.values()))
        rows = self._connection.execute(
            f"SELECT id, -bm25(entries, {weights}) AS score FROM entries WHERE entries MATCH ?"
            " ORDER BY score DESC LIMIT ?",
            (query, limit),
        )
        return [(str(identity), float(score)) for identity, score in rows]

    def having(self, word: str) -> frozenset[str]:
        """Return the ids of the entries in which `word` stands."""
        rows = self._connection.execute("SELECT id FROM entries WHERE entries MATCH ?", (f'"{word}"',))
        return frozenset(str(identity) for (identity,) in rows)

    def close(self) -> None:
        """Close the file now."""
        self._closed()


def _fields(entry: AnyEntry) -> tuple[str, ...]:
    """Return the searchable fields of an entry, in the order of WEIGHTS."""
    names = [*entry.aliases]
    signatures = [*entry.signatures]
    summary = entry.line if isinstance(entry, Entry) and hasattr(entry, "line") else ""
    if isinstance(entry, ErrorEntry):
        names += entry.tools
        signatures += entry.clues
    if isinstance(entry, Fork):
        summary = f"{entry.question} {entry.shared}"
    return entry.title, "\n".join(names), "\n".join(signatures), plain(summary), plain(entry.text)
