"""The values that travel from a question to its answer. Frozen; no behaviour beyond reading them."""

from dataclasses import dataclass, field
from typing import Literal

Decision = Literal["answer", "ask", "abstain"]


@dataclass(frozen=True, slots=True)
class Hints:
    """What the pasted text says about the person's machine and doings; empty where it says nothing."""

    platforms: frozenset[str] = frozenset()
    vendors: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()

    def __or__(self, other: "Hints") -> "Hints":
        """Both together; of platforms and vendors only this one's, where it names any."""
        return Hints(
            self.platforms or other.platforms,
            self.vendors or other.vendors,
            self.tools or other.tools,
            self.phases or other.phases,
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What was pasted, reduced to what matters."""

    text: str  # as given, control characters removed
    lines: tuple[str, ...]  # without colours, progress bars, timestamps and prefixes; each only once
    errors: tuple[int, ...]  # positions in `lines` that report a failure, the most telling first
    words: str  # what to search by: the person's own words and the telling lines, paths and hashes masked
    hints: Hints
    is_log: bool
    said: str = ""  # the words of the last turn alone, where `words` also holds those of the turn before

    @property
    def cleaned(self) -> str:
        """All lines as one text."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class SourceLink:
    """An official page behind a quote."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Number `n` of an answer: the quoted span of an entry, and the pages that it rests on."""

    n: int
    entry: str
    title: str
    aliases: tuple[str, ...]
    signatures: tuple[str, ...]
    section: str
    quote: str
    start: int  # of the quote in the entry's text
    end: int
    passage: str  # the whole cause or section around the quote
    passage_start: int
    sources: tuple[SourceLink, ...]
    direct: bool = True  # whether the sources are the quote's own, or those of the section around it


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that may fit, with the share of trust put into it (0 to 1)."""

    entry: str
    title: str
    aliases: tuple[str, ...]
    signatures: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Item:
    """One statement on a card: Markdown without footnotes, and the number that cites it."""

    markdown: str
    n: int
    label: Literal["", "tell", "fix"] = ""
    step: bool = False
    bullet: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A titled part of a card: a cause, a section, an option of a fork. `open` blocks are shown unfolded."""

    title: str
    items: tuple[Item, ...]
    kind: Literal["cause", "section", "option"] = "section"
    open: bool = True


@dataclass(frozen=True, slots=True)
class Links:
    """Other entries worth reading: what they are to this one, and for each its title and the question that opens it."""

    label: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown at once, without any model."""

    title: str
    lead: tuple[Item, ...]
    blocks: tuple[Block, ...]
    facts: tuple[str, ...] = ()  # sentences made from the numbers in their log
    line: str = ""  # the line of their log that decided
    others: int = 0  # causes left out because they belong to other platforms or vendors
    links: tuple[Links, ...] = ()


@dataclass(frozen=True, slots=True)
class ForkQuestion:
    """The one question that decides between entries, with its options."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A piece of what the model wrote: its text, the numbers that support it, and what is wrong with it."""

    text: str
    cites: tuple[int, ...] = ()
    verdict: Literal["supported", "unsupported", "command", "number", "pending"] = "supported"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds since the question arrived, by stage; `first` is when the card was ready."""

    read: float = 0.0
    retrieve: float = 0.0
    first: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that is shown for one question."""

    decision: Decision
    confidence: float
    card: Card
    citations: tuple[Citation, ...]
    candidates: tuple[Candidate, ...]
    question: ForkQuestion | None = None
    explanation: tuple[Sentence, ...] = ()
    writer: str = "card"
    notice: str = ""  # why there is no explanation, where one was wanted
    ms: Times = field(default_factory=Times)
