"""The document's journey: files → entries → passages → embeddings → a verified generation that becomes current.

Built aside, verified, then switched: whatever happens on the way, the last good generation serves on.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from index import generation as store
from index.cache import EmbeddingCache
from index.cut import RULES, cut
from index.embed import Encoder, Vectors
from index.generation import FailedFile, Generation, Manifest, SourceFile
from index.passage import Passage
from index.words import content_tokens
from kb.entry import AnyEntry
from kb.failures import BadKnowledge, IndexBusy, IndexDamaged, IndexFailure
from kb.read import entry_files, read_knowledge

CANARIES = 20  # entries that must find themselves before a generation may serve

STEP = 64  # passages encoded between two reports of progress

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did; `embedded` counts the passages that went through the encoder."""

    generation: Path
    manifest: Manifest
    embedded: int


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a generation: entries by id, the file of each, and the files that could not be read."""

    entries: dict[str, AnyEntry]
    sources: dict[str, SourceFile]
    failed: tuple[FailedFile, ...]


def build(folders: Sequence[Path], home: Path, encoder: Encoder, progress: Progress) -> Report:
    """Index the entries below `folders` into a new generation of `home` and make it current.

    :raises BadKnowledge: where not one entry could be read.
    :raises IndexBusy: where another process is building.
    :raises IndexDamaged: where the new generation fails its verification; the old one serves on.
    """
    (home / "index").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / "index" / "build.lock", timeout=0):
            progress("reading entries", 0, 1)
            fingerprint = _fingerprint(folders, encoder)  # first: what changes while we read makes the result stale
            content = _read(folders, store.last_good(home))
            passages = [one for entry in content.entries.values() for one in cut(entry, encoder)]
            vectors, embedded = _embed(passages, home, encoder, progress)
            manifest = _manifest(content, fingerprint, encoder.identity, len(passages))
            aside = home / "index" / f"building-{manifest.name}"
            store.write(aside, manifest, content.entries, passages, vectors)
            progress("verifying", 0, 1)
            _verify(aside, vectors)
            folder = home / "index" / "generations" / manifest.name
            folder.parent.mkdir(exist_ok=True)
            aside.rename(folder)
            store.make_current(home, folder)
            store.prune(home)
            progress("ready", 1, 1)
            return Report(folder, store.read_manifest(folder), embedded)
    except Timeout as held:
        raise IndexBusy("Another process is indexing.", "Wait until it is done, then try again.") from held


def is_stale(folders: Sequence[Path], home: Path, encoder: Encoder) -> bool:
    """Return whether the current generation is missing, unreadable, or made from other content or by other rules."""
    try:
        return store.read_manifest(store.current(home)).fingerprint != _fingerprint(folders, encoder)
    except IndexFailure:
        return True


def _fingerprint(folders: Sequence[Path], encoder: Encoder) -> str:
    """Return a hash of everything that a generation depends on."""
    digest = hashlib.sha256(f"{store.FORMAT}\0{RULES}\0{encoder.identity}".encode())
    for position, folder in enumerate(folders):
        for file in entry_files(folder):
            digest.update(f"\0{position}\0{file.relative_to(folder)}\0{store.sha256(file)}".encode())
    return digest.hexdigest()


def _read(folders: Sequence[Path], previous: Generation | None) -> Content:
    """Read all entries; a file that is broken now keeps the entry it had before.

    :raises BadKnowledge: where there is none at all.
    """
    knowledge = read_knowledge(*folders)
    entries = dict(knowledge.entries)
    sources = {
        _short(file, folders): SourceFile(sha256=store.sha256(file), entry=key) for key, file in knowledge.files.items()
    }
    for file in {problem.file for problem in knowledge.problems}:
        before = previous.manifest.sources.get(_short(file, folders)) if previous else None
        if previous and before and before.entry not in entries:
            entries[before.entry] = previous.entries[before.entry]
            sources[_short(file, folders)] = before
    if not entries:
        looked = ", ".join(str(folder) for folder in folders)
        raise BadKnowledge(f"No entry could be read from {looked}.", "Run: oomph kb check")
    failed = tuple(
        FailedFile(file=str(problem.file), line=problem.line, field=problem.field, message=problem.message)
        for problem in knowledge.problems
    )
    return Content(entries, sources, failed)


def _short(file: Path, folders: Sequence[Path]) -> str:
    """Return a name for `file` that stays the same when the folders are moved."""
    for position, folder in enumerate(folders):
        if file.is_relative_to(folder):
            return f"{position}/{file.relative_to(folder).as_posix()}"
    return str(file)


def _embed(passages: list[Passage], home: Path, encoder: Encoder, progress: Progress) -> tuple[Vectors, int]:
    """Return one vector for each passage, and how many of them had to be computed.

    What was computed is kept step by step, so that a build that is stopped goes on from there.
    """
    hashes = [passage.hash for passage in passages]
    with EmbeddingCache(home / "index" / "embeddings.sqlite") as cache:
        known = cache.get(encoder.identity, list(dict.fromkeys(hashes)))
        new = {passage.hash: passage.embedded for passage in passages if passage.hash not in known}
        longest_first = sorted(new, key=lambda key: -len(new[key]))  # texts of one length need no padding
        if new:
            progress("embedding passages", 0, len(new))
        for first in range(0, len(new), STEP):
            keys = longest_first[first : first + STEP]
            computed = dict(zip(keys, encoder.encode([new[key] for key in keys]), strict=True))
            cache.put(encoder.identity, computed)
            known |= computed
            progress("embedding passages", first + len(keys), len(new))
    return np.stack([known[key] for key in hashes]).astype(np.float32), len(new)


def _manifest(content: Content, fingerprint: str, embedder: str, passages: int) -> Manifest:
    kinds = Counter(entry.kind for entry in content.entries.values())
    return Manifest(
        format=store.FORMAT,
        name=store.new_name(),
        created=datetime.now(UTC),
        embedder=embedder,
        rules=RULES,
        fingerprint=fingerprint,
        errors=kinds["error"],
        terms=kinds["term"],
        forks=kinds["fork"],
        passages=passages,
        sha256={},
        sources=content.sources,
        failed=content.failed,
    )


def _verify(folder: Path, vectors: Vectors) -> None:
    """Load what was written and let some entries find themselves.

    :raises IndexDamaged: where one does not.
    """
    generation = store.load(folder)
    try:
        every = max(1, len(generation.entries) // CANARIES)
        for entry in list(generation.entries.values())[::every]:
            found = [key for key, _ in generation.words.search(content_tokens(entry.title) or [entry.id], 20)]
            if entry.id not in found:
                raise _unfit(f"does not find {entry.title!r} by its own title")
        for position in range(0, len(vectors), max(1, len(vectors) // CANARIES)):
            score = generation.vectors.search(vectors[position], 1)[0][1]
            if score < 0.99:
                raise _unfit("does not find a passage by its own vector")
    finally:
        generation.words.close()


def _unfit(why: str) -> IndexDamaged:
    return IndexDamaged(f"The new index {why}.", "The old index serves on; please report this.")
