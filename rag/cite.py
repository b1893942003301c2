"""What a model wrote → sentences with the numbers that support them, computed in code from the text.

The model's own marks are only a hint. A sentence without support is marked; one with a command, flag, variable,
address or number that stands in no cited statement is marked so, and is never shown as something to run.
"""

import re
from collections.abc import Sequence

from index.words import content_tokens
from kb.entry import plain
from rag.answer import Citation, Sentence

SUPPORT = 0.5  # share of a sentence's words that must stand in one statement

_FENCE = re.compile(r"```[^\n]*\n.*?(?:```|\Z)", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?:])(?=[\s\[]|$)|\n+")
_MARK = re.compile(r"\s*[\[【(]\s*\^?\d+(?:\s*[,;]\s*\d+)*\s*[\])】]")
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_COMMAND = re.compile(
    r"`([^`\n]+)`"  # anything set as code
    r"|(?<![\w-])(--?[A-Za-z][\w-]*(?:=\S+)?)"  # flags
    r"|\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b(?:=\S+)?"  # variables
    r"|(https?://[^\s)>\]]+)"
    r"|\b((?:sudo|pip3?|apt(?:-get)?|conda|docker|ollama|git|curl|wget|rm|kill|export|setx?|hf|nvidia-smi|systemctl|cmake|brew|winget|wsl|python3?) [^\n.,;]+)"
)
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?![\w])\s?(?:%|[KMGT]i?B\b|tokens?\b|tok/s\b|GPUs?\b)?", re.IGNORECASE)


def check(
    written: str, citations: Sequence[Citation], facts: Sequence[str] = (), finished: bool = True
) -> tuple[Sentence, ...]:
    """Split what was written into sentences and hold each against the cited statements.

    :param facts: sentences computed from the person's own log; their numbers are known too.
    :param finished: where more text may follow, the last, unfinished sentence is only `pending`.
    """
    evidence = [(citation.n, plain(citation.quote)) for citation in citations]
    known = _squeezed("\n".join([*(quote for _, quote in evidence), *facts]))
    pieces = split(_THOUGHTS.sub("", written))
    sentences = []
    for position, piece in enumerate(pieces):
        if not finished and position == len(pieces) - 1:
            sentences.append(Sentence(_bare(piece), (), "pending"))
        elif re.search(r"\w", _bare(piece)):
            sentences.append(_checked(_bare(piece), evidence, known))
    return tuple(sentence for sentence in sentences if sentence.text)


def split(written: str) -> list[str]:
    """Cut text into sentences; a code block is one piece, a mark stays with the sentence before it."""
    pieces: list[str] = []
    position = 0
    for fence in _FENCE.finditer(written):
        pieces += _sentences(written[position : fence.start()])
        pieces.append(fence.group())
        position = fence.end()
    return pieces + _sentences(written[position:])


def _sentences(text: str) -> list[str]:
    return [piece.strip() for piece in _SENTENCE_END.split(text) if piece and piece.strip()]


def _bare(piece: str) -> str:
    """Return a sentence without the model's own marks, list signs and headings."""
    bare = piece if piece.startswith("```") else _MARK.sub("", piece)
    return re.sub(r"^\s*(?:[-*•#>]+|\d+[.)])\s+", "", bare).strip()


def _checked(sentence: str, evidence: list[tuple[int, str]], known: str) -> Sentence:
    for found in _COMMAND.finditer(sentence):
        command = next(group for group in found.groups() if group)
        if _squeezed(command) not in known:
            return Sentence(sentence, (), "command")
    if sentence.startswith("```") and any(
        _squeezed(line) not in known for line in sentence.strip("`").split("\n")[1:] if line.strip()
    ):
        return Sentence(sentence, (), "command")
    for found in _NUMBER.finditer(sentence):
        if not re.search(rf"(?<![\d.]){re.escape(_squeezed(found.group()))}(?![\d])", known):
            return Sentence(sentence, (), "number")
    supporters = _supporters(sentence, evidence)
    return Sentence(sentence, supporters, "supported" if supporters else "unsupported")


def _supporters(sentence: str, evidence: list[tuple[int, str]]) -> tuple[int, ...]:
    """Return the number of the statement that holds most of the sentence's words, if it holds enough of them."""
    words = set(content_tokens(sentence))
    if not words:
        return ()
    shares = [(len(words & set(content_tokens(quote))) / len(words), -n) for n, quote in evidence]
    share, n = max(shares, default=(0.0, 0))
    return (-n,) if share >= SUPPORT else ()


def _squeezed(text: str) -> str:
    """Return `text` in lower case with single blanks: commands and numbers are compared so."""
    return re.sub(r"\s+", " ", text.replace("`", "")).strip().lower()
