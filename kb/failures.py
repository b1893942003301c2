"""The failures a person can act on, as one tree. Anything else that is raised is a bug and keeps its traceback.

Failure                 what happened + what to do next, one line each
├── BadInput            what was typed, pasted or passed cannot be used
├── BadKnowledge        no entry could be read
├── IndexFailure        the index cannot serve or be built
│   ├── IndexMissing    nothing has been built yet
│   ├── IndexDamaged    a file of a generation is missing or differs from its checksum
│   ├── IndexStale      a generation was made by another format, embedder or passage rule
│   └── IndexBusy       another process is building
├── EmbedderFailure     the embedding model is missing or is not the expected one
└── ModelFailure        the local language model cannot be loaded or used
"""


class Failure(Exception):
    """Something went wrong that the person can mend.

    :param what: one sentence: what happened.
    :param next_step: one sentence: what to do about it.
    """

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(f"{what} {next_step}")
        self.what = what
        self.next_step = next_step


class BadInput(Failure):
    """What was typed, pasted or passed cannot be used."""


class BadKnowledge(Failure):
    """No entry could be read."""


class IndexFailure(Failure):
    """The index cannot serve or be built."""


class IndexMissing(IndexFailure):
    """Nothing has been built yet."""


class IndexDamaged(IndexFailure):
    """A file of a generation is missing or differs from its checksum."""


class IndexStale(IndexFailure):
    """A generation was made by another format, embedder or passage rule."""


class IndexBusy(IndexFailure):
    """Another process is building."""


class EmbedderFailure(Failure):
    """The embedding model is missing or is not the expected one."""


class ModelFailure(Failure):
    """The local language model cannot be loaded or used."""
