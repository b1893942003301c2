"""Generations of the index on disk: immutable folders, one of them current.

    HOME/index/CURRENT               the name of the generation that serves; replaced by one atomic rename
    HOME/index/generations/NAME/     manifest.json, entries.json, passages.json, vectors.faiss, words.sqlite
    HOME/index/embeddings.sqlite     the embedding cache
    HOME/index/build.lock            held while somebody builds; freed by the system when they die

A folder whose checksums or counts differ from its manifest is refused, never served.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from index.embed import Vectors
from index.names import Names
from index.passage import Passage
from index.signatures import Signatures
from index.vectors import VectorIndex
from index.words import Words
from kb.entry import AnyEntry, Frozen
from kb.failures import IndexDamaged, IndexFailure, IndexMissing, IndexStale

FORMAT = 3  # change it when a generation written by older code can no longer be read
KEEP = 3

VectorKey = tuple[str, str]  # the embedder's identity, the passage's hash

_ENTRIES = TypeAdapter(dict[str, AnyEntry])
_PASSAGES = TypeAdapter(list[Passage])
_PARTS = ("entries.json", "passages.json", "vectors.faiss", "words.sqlite")


class FailedFile(Frozen):
    """A file that could not be read or did not fit at the time; its last good entry may still serve."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f" {self.field}:" if self.field else ""
        return f"{self.file}:{self.line}:{where} {self.message}"


class SourceFile(Frozen):
    """A file that an entry came from: its content's SHA-256 and the entry's id."""

    sha256: str
    entry: str


class Manifest(Frozen):
    """What a generation is made of."""

    format: int
    name: str
    created: datetime
    embedder: str
    rules: str
    fingerprint: str
    errors: int
    terms: int
    forks: int
    passages: int
    sha256: dict[str, str] = Field(description="file name → SHA-256 of its content")
    sources: dict[str, SourceFile]
    failed: tuple[FailedFile, ...] = ()


@dataclass(frozen=True)
class Generation:
    """One loaded generation: everything that is needed to find and to show an entry."""

    manifest: Manifest
    entries: dict[str, AnyEntry]
    passages: list[Passage]
    vectors: VectorIndex
    words: Words

    @cached_property
    def signatures(self) -> Signatures:
        """The matcher of all error messages."""
        return Signatures((signature, entry.id) for entry in self.entries.values() for signature in entry.signatures)

    @cached_property
    def names(self) -> Names:
        """The exact names of all entries."""
        return Names(self.entries.values())


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Say in one line what the disk refused.

    :raises IndexFailure: for what the system or SQLite raises inside.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise IndexFailure(
            f"The index cannot be written to {home} ({reason}).",
            "Free some space, or set OOMPH_HOME to another folder.",
        ) from fault


def write(
    folder: Path, manifest: Manifest, entries: dict[str, AnyEntry], passages: list[Passage], vectors: Vectors
) -> None:
    """Write a generation into the new folder `folder`; the checksums are added to its manifest here."""
    folder.mkdir(parents=True)
    (folder / "entries.json").write_bytes(_ENTRIES.dump_json(entries))
    (folder / "passages.json").write_bytes(_PASSAGES.dump_json(passages))
    VectorIndex.of(vectors).save(folder / "vectors.faiss")
    Words.write(folder / "words.sqlite", entries.values())
    sealed = manifest.model_copy(update={"sha256": {part: sha256(folder / part) for part in _PARTS}})
    (folder / "manifest.json").write_text(sealed.model_dump_json(indent=1), encoding="utf-8")
    for part in (*_PARTS, "manifest.json", "."):
        _sync(folder / part)


def load(folder: Path, embedder: str = "") -> Generation:
    """Load one generation.

    :param embedder: the identity of the embedder that will ask it; without one, any will do.
    :raises IndexDamaged: where a file is missing or differs from its checksum, or counts do not agree.
    :raises IndexStale: where it was written in another format or made by another embedder.
    """
    manifest = read_manifest(folder)
    if embedder and manifest.embedder != embedder:
        raise IndexStale(f"The index {folder.name} was made by another embedder.", "Run: oomph index")
    for part in _PARTS:
        if not _is_whole(folder / part, manifest.sha256.get(part, "")):
            raise _damaged(folder, f"{part} is missing or was changed")
    try:
        entries = _ENTRIES.validate_json((folder / "entries.json").read_bytes())
        passages = _PASSAGES.validate_json((folder / "passages.json").read_bytes())
    except (OSError, ValidationError) as fault:
        raise _damaged(folder, "its entries cannot be read") from fault
    vectors = VectorIndex.load(folder / "vectors.faiss")
    words = Words(folder / "words.sqlite")
    counts = (len(entries), len(passages), vectors.count, words.count)
    expected = manifest.errors + manifest.terms + manifest.forks
    if counts != (expected, manifest.passages, manifest.passages, expected):
        raise _damaged(folder, "its parts do not belong together")
    return Generation(manifest, entries, passages, vectors, words)


def _is_whole(file: Path, expected: str) -> bool:
    """Return whether `file` can be read and has the SHA-256 `expected`."""
    try:
        return sha256(file) == expected
    except OSError:
        return False


def vector_keys(folder: Path) -> set[VectorKey]:
    """Return the keys of all vectors of one generation; none where it cannot be read."""
    try:
        embedder = read_manifest(folder).embedder
        passages = _PASSAGES.validate_json((folder / "passages.json").read_bytes())
    except (IndexFailure, OSError, ValidationError):
        return set()
    return {(embedder, passage.hash) for passage in passages}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of one generation.

    :raises IndexDamaged: where there is none or it cannot be read.
    :raises IndexStale: where it was written in another format.
    """
    try:
        raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            raise IndexStale(
                f"The index {folder.name} has format {raw.get('format')}, this program writes format {FORMAT}.",
                "Run: oomph index",
            )
        return Manifest.model_validate(raw)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as fault:
        raise _damaged(folder, "its manifest cannot be read") from fault


def current(home: Path) -> Path:
    """Return the folder of the generation that serves.

    :raises IndexMissing: where none was built yet.
    """
    pointer = home / "index" / "CURRENT"
    try:
        name = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    folder = home / "index" / "generations" / name
    if not name or Path(name).name != name or not folder.is_dir():
        raise IndexMissing("There is no index yet.", "Run: oomph index")
    return folder


def generations(home: Path) -> list[Path]:
    """Return the folders of all generations, the newest first."""
    folder = home / "index" / "generations"
    return sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: path.name, reverse=True)


def last_good(home: Path, embedder: str = "") -> Generation | None:
    """Load the current generation, or else the newest that is whole and by `embedder`; None where there is none."""
    folders = generations(home)
    try:
        serving = current(home)
        folders.sort(key=lambda folder: folder != serving)
    except IndexMissing:
        pass
    for folder in folders:
        try:
            return load(folder, embedder)
        except (IndexDamaged, IndexStale):
            continue
    return None


def publish(home: Path, aside: Path, name: str) -> Path:
    """Move a finished generation from `aside` to its place, let it serve from now on, and return its folder."""
    folder = home / "index" / "generations" / name
    folder.parent.mkdir(exist_ok=True)
    aside.rename(folder)
    _sync(folder.parent)
    make_current(home, folder)
    return folder


def make_current(home: Path, folder: Path) -> None:
    """Let `folder` serve from now on; readers see the old one or the new one, nothing in between."""
    pointer = home / "index" / "CURRENT"
    aside = pointer.with_name(f"CURRENT.{os.getpid()}")
    aside.write_text(folder.name, encoding="utf-8")
    _sync(aside)
    aside.replace(pointer)
    _sync(pointer.parent)


def prune(home: Path, keep: int = KEEP) -> None:
    """Remove all but the current and the newest generations, `keep` in all, and what a failed or killed build left."""
    folders = generations(home)
    with suppress(IndexMissing):
        serving = current(home)
        folders.sort(key=lambda folder: folder != serving)
    for folder in (*folders[keep:], *(home / "index").glob("building-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for left in (home / "index").glob("CURRENT.*"):
        with suppress(OSError):
            left.unlink()


def new_name() -> str:
    """Return a name for a generation: the time, to the microsecond, so that names sort by age."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # only POSIX opens folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows syncs only what may be written
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(folder: Path, why: str) -> IndexDamaged:
    return IndexDamaged(f"The index {folder.name} is damaged: {why}.", "Run: oomph index")
