"""Embeddings by content hash, so that what did not change is never embedded again."""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from index.embed import Vectors
from index.generation import VectorKey, writing

T = TypeVar("T")

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_CHECKSUM = 4  # bytes before each vector: SQLite does not notice when a vector's own bytes change


class EmbeddingCache:
    """One SQLite file; the key is the embedder's identity and the passage's hash. Losing it costs only time.

    Every method starts anew with an empty file where the old one is damaged.

    :raises IndexFailure: from every method, where the file cannot be used for another reason: locked, no space.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / "index" / "embeddings.sqlite"
        with writing(home):
            self._connection = sqlite3.connect(self._file)
        try:
            self._use(_create)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> "EmbeddingCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, embedder: str, hashes: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors, shape (dimension,), that are known for `hashes`."""
        known: dict[str, Vectors] = {}
        for first in range(0, len(hashes), 500):
            some = hashes[first : first + 500]
            marks = ", ".join("?" * len(some))
            query = f"SELECT hash, vector FROM embeddings WHERE embedder = ? AND hash IN ({marks})"
            for key, blob in self._rows(query, (embedder, *some)):
                if blob == _sealed(key, blob[_CHECKSUM:]):
                    known[key] = np.frombuffer(blob, dtype=np.float32, offset=_CHECKSUM)
        return known

    def put(self, embedder: str, vectors: dict[str, Vectors]) -> None:
        """Keep `vectors`."""
        rows = [(embedder, key, _sealed(key, vector.astype(np.float32).tobytes())) for key, vector in vectors.items()]
        self._change("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)

    def keys(self) -> set[VectorKey]:
        """Return the key of every vector that is kept."""
        return set(self._rows("SELECT embedder, hash FROM embeddings"))

    def forget(self, keys: Iterable[VectorKey]) -> None:
        """Keep the vectors of `keys` no longer."""
        self._change("DELETE FROM embeddings WHERE embedder = ? AND hash = ?", list(keys))

    def _rows(self, query: str, values: Sequence[str] = ()) -> list[Any]:
        return self._use(lambda connection: connection.execute(query, values).fetchall())

    def _change(self, statement: str, rows: Sequence[tuple[str | bytes, ...]]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(statement, rows)

        self._use(work)

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns; where the file is damaged, `work` is done anew on an empty one."""
        with writing(self._home):
            try:
                return work(self._connection)
            except sqlite3.DatabaseError as fault:
                if getattr(fault, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:  # the upper bits are details
                    raise
                self._connection.close()
                for suffix in ("", "-journal"):
                    self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
                self._connection = sqlite3.connect(self._file)
                _create(self._connection)
                return work(self._connection)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS embeddings"
        " (embedder TEXT, hash TEXT, vector BLOB, PRIMARY KEY (embedder, hash)) WITHOUT ROWID"
    )


def _sealed(key: str, vector: bytes) -> bytes:
    """Return the bytes of a vector behind a checksum over them and their key."""
    return zlib.crc32(key.encode() + vector).to_bytes(_CHECKSUM, "big") + vector
