"""What is indexed: a passage, a span of an entry's text that fits the embedder's window."""

import hashlib
from dataclasses import dataclass

from kb.entry import plain


@dataclass(frozen=True, slots=True)
class Passage:
    """`entries[entry].text[start:end] == text`; `context` (title, heading) is embedded in front of it."""

    entry: str
    section: str
    start: int
    end: int
    text: str
    context: str = ""

    @property
    def embedded(self) -> str:
        """What the encoder sees: the context, then the text without its footnote marks."""
        return plain(f"{self.context}\n{self.text}" if self.context else self.text)

    @property
    def hash(self) -> str:
        """SHA-256 of what the encoder sees: the key under which its embedding is kept."""
        return hashlib.sha256(self.embedded.encode()).hexdigest()
