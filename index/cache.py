"""Embeddings by content hash, so that what did not change is never embedded again."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from index.embed import Vectors


class EmbeddingCache:
    """One SQLite file; the key is the embedder's identity and the passage's hash. Losing it costs only time."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._open(file)
        except sqlite3.DatabaseError:  # a damaged cache is only a cache
            file.unlink(missing_ok=True)
            self._connection = self._open(file)

    @staticmethod
    def _open(file: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(file)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS embeddings"
            " (embedder TEXT, hash TEXT, vector BLOB, PRIMARY KEY (embedder, hash)) WITHOUT ROWID"
        )
        return connection

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
            rows = self._connection.execute(
                f"SELECT hash, vector FROM embeddings WHERE embedder = ? AND hash IN ({marks})", (embedder, *some)
            )
            known |= {key: np.frombuffer(blob, dtype=np.float32) for key, blob in rows}
        return known

    def put(self, embedder: str, vectors: dict[str, Vectors]) -> None:
        """Keep `vectors`."""
        rows = ((embedder, key, vector.astype(np.float32).tobytes()) for key, vector in vectors.items())
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)
