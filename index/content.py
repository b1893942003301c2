"""Files → what goes into a generation: entries that fit together, and the files that had to stay out.

What later stages look up without asking must be there: the source of a footnote, the entry of a fork's option. Other
links may lead nowhere (`oomph kb check` names them): one broken file must not take down all that link to it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.cut import RULES
from index.generation import FORMAT, FailedFile, Generation, SourceFile, sha256
from kb.entry import AnyEntry, ErrorEntry, Fork
from kb.failures import BadKnowledge
from kb.read import Knowledge, Problem, entry_files, read_knowledge


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a generation: entries by id, the file of each, and the files that had to stay out."""

    entries: dict[str, AnyEntry]
    sources: dict[str, SourceFile]
    failed: tuple[FailedFile, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An entry that may serve under its id: as its file says now, or as the last good generation kept it."""

    entry: AnyEntry
    name: str  # of its file, the same when the folders are moved
    source: SourceFile
    file: Path | None  # None: kept from before


_Candidates = dict[str, list[_Candidate]]  # id → who may serve, the best last


def fingerprint(folders: Sequence[Path], embedder: str) -> str:
    """Return a hash of everything that a generation depends on."""
    digest = hashlib.sha256(f"{FORMAT}\0{RULES}\0{embedder}".encode())
    for position, folder in enumerate(folders):
        for file in entry_files(folder):
            digest.update(f"\0{_name(position, folder, file)}\0{_hash(file)}".encode())
    return digest.hexdigest()


def read(folders: Sequence[Path], previous: Generation | None) -> Content:
    """Read all entries; where a file is broken or does not fit, the entry it had in `previous` stays if that fits.

    :raises BadKnowledge: where there is none at all.
    """
    candidates: _Candidates = defaultdict(list)
    problems: list[Problem] = []
    for position, folder in enumerate(folders):
        knowledge = read_knowledge(folder)
        problems += knowledge.problems
        names = {file: _name(position, folder, file) for file in _files(knowledge)}
        for candidate in (*_kept(names, previous), *_fresh(names, knowledge)):
            candidates[candidate.entry.id].append(candidate)
    problems += _fit(candidates)
    if not candidates:
        looked = ", ".join(str(folder) for folder in folders)
        raise BadKnowledge(f"No entry could be read from {looked}.", "Run: oomph kb check")
    serving = [best[-1] for best in candidates.values()]
    return Content(
        entries={one.entry.id: one.entry for one in serving},
        sources={one.name: one.source for one in serving},
        failed=tuple(
            FailedFile(file=str(problem.file), line=problem.line, field=problem.field, message=problem.message)
            for problem in problems
        ),
    )


def _files(knowledge: Knowledge) -> Iterator[Path]:
    """Yield every file that was read, the good ones first."""
    yield from knowledge.files.values()
    yield from dict.fromkeys(problem.file for problem in knowledge.problems)


def _kept(names: dict[Path, str], previous: Generation | None) -> Iterator[_Candidate]:
    """Yield what the files named `names` held when `previous` was built."""
    for name in names.values():
        source = previous.manifest.sources.get(name) if previous else None
        if previous and source:
            yield _Candidate(previous.entries[source.entry], name, source, None)


def _fresh(names: dict[Path, str], knowledge: Knowledge) -> Iterator[_Candidate]:
    """Yield what the files hold now."""
    for key, file in knowledge.files.items():
        yield _Candidate(knowledge.entries[key], names[file], SourceFile(sha256=_hash(file), entry=key), file)


def _fit(candidates: _Candidates) -> list[Problem]:
    """Drop candidates until nothing is looked up in vain; return the problems of the files that were dropped."""
    problems: list[Problem] = []
    while unfit := [*_unfit({key: best[-1].entry for key, best in candidates.items()})]:
        for key, field, needle, message in unfit:
            file = candidates[key][-1].file
            if file:
                problems.append(Problem(file, _line(file, needle), field, message))
        for key in {found[0] for found in unfit}:
            candidates[key].pop()
            if not candidates[key]:
                del candidates[key]
    return problems


def _unfit(entries: dict[str, AnyEntry]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (id, field, where it stands in the file, message) for what would be looked up in vain."""
    for entry in entries.values():
        used = {key for statement in entry.statements for key in statement.sources}
        for key in sorted(used - set(entry.sources)):
            yield entry.id, "body", f"[^{key}]", f"footnote [^{key}] has no source of that name"
        for option in entry.options if isinstance(entry, Fork) else ():
            if not isinstance(entries.get(option.entry), ErrorEntry):
                yield entry.id, "options", option.entry, f"there is no error entry {option.entry}"


def _line(file: Path, needle: str) -> int:
    """Return the first line of `file` with `needle` in it; 1 where there is none."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return 1
    return next((number for number, line in enumerate(lines, 1) if needle in line), 1)


def _name(position: int, folder: Path, file: Path) -> str:
    """Return a name for `file` that stays the same when the folders are moved."""
    return f"{position}/{file.relative_to(folder).as_posix()}"


def _hash(file: Path) -> str:
    """Return the SHA-256 of a file that may be unreadable or gone: whoever reads it reports that."""
    try:
        return sha256(file)
    except OSError:
        return "unreadable"
