"""The document's journey: files → entries → passages → embeddings → a verified generation that becomes current.

Built aside, verified, then switched: whatever happens on the way, the last good generation serves on.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from index import generation as store
from index.cache import EmbeddingCache
from index.content import Content, fingerprint, read
from index.cut import RULES, cut
from index.embed import BATCH, Encoder, Vectors
from index.generation import Manifest
from index.passage import Passage
from index.words import content_tokens
from kb.failures import IndexBusy, IndexDamaged, IndexFailure

CANARIES = 20  # entries that must find themselves before a generation may serve

STEP = 64  # passages encoded between two reports of progress

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did; `embedded` counts the passages that went through the encoder."""

    generation: Path
    manifest: Manifest
    embedded: int


def build(folders: Sequence[Path], home: Path, encoder: Encoder, progress: Progress) -> Report:
    """Index the entries below `folders` into a new generation of `home` and make it current.

    :raises BadKnowledge: where not one entry could be read.
    :raises IndexBusy: where another process is building.
    :raises IndexDamaged: where the new generation fails its verification; the old one serves on.
    :raises IndexFailure: where `home` cannot be written; the old one serves on.
    """
    with _alone(home):
        progress("reading entries", 0, 1)
        made_from = fingerprint(folders, encoder.identity)  # first: what changes while we read makes the result stale
        content = read(folders, store.last_good(home))
        passages = [one for entry in content.entries.values() for one in cut(entry, encoder)]
        vectors, embedded = _embed(passages, home, encoder, progress)
        manifest = _manifest(content, made_from, encoder.identity, len(passages))
        progress("verifying", 0, 1)
        with store.writing(home):
            aside = home / "index" / f"building-{manifest.name}"
            store.write(aside, manifest, content.entries, passages, vectors)
            _verify(aside, vectors)
            folder = store.publish(home, aside, manifest.name)
        _forget_unused(home, folder)
        progress("ready", 1, 1)
        return Report(folder, store.read_manifest(folder), embedded)


def is_stale(folders: Sequence[Path], home: Path, encoder: Encoder) -> bool:
    """Return whether the current generation is missing, unreadable, or made from other content or by other rules."""
    try:
        return store.read_manifest(store.current(home)).fingerprint != fingerprint(folders, encoder.identity)
    except IndexFailure:
        return True


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the lock of `home`; however the work inside ends, nothing half-built is left.

    :raises IndexBusy: where another process holds it.
    :raises IndexFailure: where `home` cannot be written.
    """
    lock = FileLock(home / "index" / "build.lock", timeout=0)
    with store.writing(home):
        (home / "index").mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as held:
            raise IndexBusy("Another process is indexing.", "Wait until it is done, then try again.") from held
    try:
        yield
    finally:
        store.prune(home)
        lock.release()


def _embed(passages: list[Passage], home: Path, encoder: Encoder, progress: Progress) -> tuple[Vectors, int]:
    """Return one vector for each passage, and how many of them had to be computed.

    What was computed is kept step by step, so that a build that is stopped goes on from there.
    """
    hashes = [passage.hash for passage in passages]
    with EmbeddingCache(home) as cache:
        known = cache.get(encoder.identity, list(dict.fromkeys(hashes)))
        new = {passage.hash: passage.embedded for passage in passages if passage.hash not in known}
        longest_first = sorted(new, key=lambda key: -len(new[key]))  # texts of one length need no padding
        if new:
            progress("embedding passages", 0, len(new))
        for first in range(0, len(new), STEP):
            keys = longest_first[first : first + STEP]
            batches = (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))
            computed = {
                key: vector
                for batch in batches  # small ones: a question that comes now waits for one of them
                for key, vector in zip(batch, encoder.encode([new[key] for key in batch]), strict=True)
            }
            cache.put(encoder.identity, computed)
            known |= computed
            progress("embedding passages", first + len(keys), len(new))
    return np.stack([known[key] for key in hashes]).astype(np.float32), len(new)


def _forget_unused(home: Path, newest: Path) -> None:
    """Forget the vectors that neither `newest` nor another generation that is kept was made of."""
    store.prune(home)
    with EmbeddingCache(home) as cache:
        unused = cache.keys() - store.vector_keys(newest)
        for folder in store.generations(home):
            if unused and folder != newest:  # most builds add little: then there is nothing to read
                unused -= store.vector_keys(folder)
        cache.forget(unused)


def _manifest(content: Content, made_from: str, embedder: str, passages: int) -> Manifest:
    kinds = Counter(entry.kind for entry in content.entries.values())
    return Manifest(
        format=store.FORMAT,
        name=store.new_name(),
        created=datetime.now(UTC),
        embedder=embedder,
        rules=RULES,
        fingerprint=made_from,
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
