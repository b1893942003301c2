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
from kb.failures import IndexDamaged, IndexMissing, IndexStale

FORMAT = 1  # change it when a generation written by older code can no longer be read
KEEP = 3

_ENTRIES = TypeAdapter(dict[str, AnyEntry])
_PASSAGES = TypeAdapter(list[Passage])
_PARTS = ("entries.json", "passages.json", "vectors.faiss", "words.sqlite")


class FailedFile(Frozen):
    """A file that could not be read when the generation was built; its last good entry may still serve."""

    file: str
    line: int
    field: str
    message: str


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
    for part in (*_PARTS, "manifest.json"):
        with (folder / part).open("rb") as stream:
            os.fsync(stream.fileno())


def load(folder: Path) -> Generation:
    """Load one generation.

    :raises IndexDamaged: where a file is missing or differs from its checksum, or counts do not agree.
    :raises IndexStale: where it was written in another format.
    """
    manifest = read_manifest(folder)
    for part in _PARTS:
        if not (folder / part).is_file() or sha256(folder / part) != manifest.sha256.get(part):
            raise _damaged(folder, f"{part} is missing or was changed")
    try:
        entries = _ENTRIES.validate_json((folder / "entries.json").read_bytes())
        passages = _PASSAGES.validate_json((folder / "passages.json").read_bytes())
    except ValidationError as fault:
        raise _damaged(folder, "its entries cannot be read") from fault
    vectors = VectorIndex.load(folder / "vectors.faiss")
    words = Words(folder / "words.sqlite")
    counts = (len(entries), len(passages), vectors.count, words.count)
    expected = manifest.errors + manifest.terms + manifest.forks
    if counts != (expected, manifest.passages, manifest.passages, expected):
        raise _damaged(folder, "its parts do not belong together")
    return Generation(manifest, entries, passages, vectors, words)


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


def last_good(home: Path) -> Generation | None:
    """Load the current generation, or else the newest that is whole; None where there is none."""
    folders = generations(home)
    try:
        serving = current(home)
        folders.sort(key=lambda folder: folder != serving)
    except IndexMissing:
        pass
    for folder in folders:
        try:
            return load(folder)
        except (IndexDamaged, IndexStale):
            continue
    return None


def make_current(home: Path, folder: Path) -> None:
    """Let `folder` serve from now on; readers see the old one or the new one, nothing in between."""
    pointer = home / "index" / "CURRENT"
    aside = pointer.with_name(f"CURRENT.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(folder.name)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(pointer)


def prune(home: Path, keep: int = KEEP) -> None:
    """Remove all but the current and the newest generations, `keep` in all, and what a killed build left."""
    serving = current(home)
    others = [folder for folder in generations(home) if folder != serving]
    for folder in others[keep - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
    for left in (home / "index").glob("building-*"):
        shutil.rmtree(left, ignore_errors=True)


def new_name() -> str:
    """Return a name for a generation: the time, to the microsecond, so that names sort by age."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(folder: Path, why: str) -> IndexDamaged:
    return IndexDamaged(f"The index {folder.name} is damaged: {why}.", "Run: oomph index")
