"""What a model wrote → sentences with the numbers that support them, computed in code from the text.

The model's own marks are only a hint. A sentence without support is marked; one with a command, flag, variable,
address or number that stands in no cited statement is marked so, and is never shown as something to run.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from index.words import content_tokens
from kb.commands import is_destructive
from kb.entry import plain
from rag.answer import Citation, Sentence

SUPPORT = 0.5  # share of a sentence's words that must stand in one statement
LEAD = 3  # words, at most, before a colon that says where the rest of a statement applies ("Linux:")

_THOUGHTS = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL)
_FENCE = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)  # as Markdown pairs backticks; blocks too
_SENTENCE_END = re.compile(r"(?<=[.!?:])(?<!^\d\.)(?<!^\d\d\.)(?<!e\.g\.)(?<!i\.e\.)(?=[\s\[【]|$)")
_MARK = re.compile(r"(`[^`]+`)|\s*(?:\[\^[\w.-]+\]|\[\s*\^?\d+(?:\s*[,;]\s*\d+)*\s*\]|【[^】\n]*】)")
_CLAUSE_END = re.compile(r"(?<=[.,;:!?])(?=\s)|(?<=\n)")
_AROUND = ".,;:!?()[]{}\"'*…“”‘’|`"  # punctuation around a word, not part of it

# Outside code: what can only be the name of something technical, and so must stand in a source as it is written.
_NAMED = re.compile(
    r"https?://\S+|\bwww\.\S+"
    r"|(?<![\w-])--?[a-z][\w-]*(?:=\S+)?"  # flags
    r"|\b\w+=[^\s=]\S*"  # assignments
    r"|\b[a-z0-9]+(?:_[a-z0-9]+)+\b"  # variables, parameters
    r"|\b[a-z]\w*(?:\.\w+)+\("  # calls
    r"|(?<![\w.)~/])(?:~/|/{1,2}(?=[a-z]))[^\s`]+|\b[a-z]:\\\S+|%\w+%\S*"  # paths
    r"|\b[\w.-]+\.(?:sh|ps1|bat|cmd|exe|msi|py|deb|rpm|run|whl|zip|json|ya?ml|toml|conf|log|service|txt)\b"
    r"|\b(?:[\w-]+\.)+(?:com|org|net|io|ai|dev|co|app|xyz|info|site|online|example)\b\S*",
    re.IGNORECASE,
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Programs whose names are no English words: each must stand in a source. Some always take what comes next.
_PROGRAMS = _set(
    "npm powershell apt apt-get dnf yum pacman zypper winget choco brew pip pip3 pipx conda systemctl cmake reboot "
    "nvidia-smi rocm-smi"
)
_TAKING = _set("sudo npx bash zsh sh chmod chown curl wget modprobe rmmod dd mkfs rm taskkill pkill killall")
# Programs whose names are also words or products: they begin a command only before a subcommand, a flag or a path.
_WORDS = _set("ollama docker python python3 git hf make kill wsl snap uv go cargo node vllm lms lmstudio")
_SUBCOMMANDS = _set(
    "install uninstall run pull push rm rmi remove ps stop serve show list create exec restart start enable disable "
    "build clone update upgrade download login prune purge config status cp logs env reset checkout system volume"
)

_UNIT = r"(?:%|[KMGT]i?B\b|bytes\b|tok/s\b)"
_NUMBER = re.compile(  # any word with a digit in it; its unit may stand apart
    rf"(?<![\w.])((?:(?<!\w)-)?[a-z]*\d+(?:[.,]\d+)*)(?:\s?({_UNIT})|(\w*))", re.IGNORECASE
)

# What turns a sentence round: a denial, and the words of two opposite senses.
_NOT = "not"
_OPPOSITES = {
    "older": "newer",
    "less": "more",
    "off": "on",
    "slower": "faster",
    "before": "after",
    "half": "twice",
}
_OPPOSITES |= {second: first for first, second in _OPPOSITES.items()}
_SENSES = {
    word: sense
    for sense, words in {
        _NOT: "not no never none nothing without cannot can't don't doesn't didn't isn't aren't won't wasn't shouldn't "
        "neither nor unsupported unable impossible unnecessary",
        "older": "older oldest earlier",
        "newer": "newer newest later latest",
        "less": "less least fewer below under smaller smallest lower lowers lowering shorter shorten shortening reduce "
        "reduces reducing decrease decreases decreasing minimum",
        "more": "more most above larger largest bigger biggest higher highest longer increase increases increasing "
        "raise raises raising exceed exceeds maximum",
        "off": "unset remove removes removing delete deletes deleting clear uninstall disable disables disabled",
        "on": "set sets setting add adds adding install installs installing enable enables enabled",
        "slower": "slower slowest",
        "faster": "faster fastest",
        "before": "before",
        "after": "after afterwards",
        "half": "half halves",
        "twice": "twice double doubles",
    }.items()
    for word in words.split()
}
_BOUNDS = {"older", "newer", "less", "more"}
_FAR = 20  # characters before a number in which its bound is looked for
_BOUND_BEFORE = re.compile(r"(\w+)\s+(?:than\s+)?$")  # below 5.0, older than 550
_BOUND_BEHIND = re.compile(r"\s+(?:or|and)\s+(\w+)")  # 550 or newer


@dataclass(frozen=True, slots=True)
class _Said:
    """What a piece of text says, as far as it can be compared: its words, its numbers, and what turns it round."""

    words: frozenset[str]
    numbers: frozenset[str]
    senses: frozenset[str]

    def __or__(self, other: "_Said") -> "_Said":
        return _Said(self.words | other.words, self.numbers | other.numbers, self.senses | other.senses)

    def agrees(self, sentence: "_Said") -> bool:
        """Return whether `sentence` turns nothing round: denies as this does, and says the opposite of nothing."""
        if (_NOT in self.senses) != (_NOT in sentence.senses):
            return False
        return not any(_OPPOSITES.get(sense) in self.senses for sense in sentence.senses - self.senses)


@dataclass(frozen=True, slots=True)
class _Support:
    """A run of clauses of statement `n` near to a sentence; the nearer of two holds more of its words in less text."""

    n: int
    nearness: tuple[float, int]
    said: _Said


class Checker:
    """Holds what a model writes against the citations of one answer; verdicts are kept while the text grows."""

    def __init__(self, citations: Sequence[Citation], facts: Sequence[str] = ()) -> None:
        """Read the evidence; `facts` are sentences computed from the person's own log, known but never cited."""
        quotes = [plain(citation.quote) for citation in citations]
        self._sources = _Sources([*quotes, *facts])
        self._statements = [
            (citation.n, _clauses(quote, citation.section)) for citation, quote in zip(citations, quotes, strict=True)
        ]
        self._of_their_log = frozenset().union(*map(_numbers, facts))
        self._numbers = self._of_their_log.union(*map(_numbers, quotes))
        self._verdicts: dict[str, Sentence] = {}

    def check(self, written: str, finished: bool = True) -> tuple[Sentence, ...]:
        """Split what was written into sentences and return each with its verdict.

        Where more text may follow (not `finished`), the last sentence is only `pending`.
        """
        pieces = [_bare(piece) for piece in split(_THOUGHTS.sub("", written))]
        pending = [Sentence(piece, (), "pending") for piece in pieces[-1:] if piece and not finished]
        complete = pieces if finished else pieces[:-1]
        return (*(self._checked(piece) for piece in complete if re.search(r"\w", piece)), *pending)

    def _checked(self, sentence: str) -> Sentence:
        if sentence not in self._verdicts:
            self._verdicts[sentence] = self._verdict(sentence)
        return self._verdicts[sentence]

    def _verdict(self, sentence: str) -> Sentence:
        if not self._sources.know(sentence):
            return Sentence(sentence, (), "command")
        said = _said(sentence)
        numbers = _numbers(_CODE.sub(_without_commands, sentence)) - self._of_their_log
        if not numbers <= self._numbers:
            return Sentence(sentence, (), "number")
        near = list(self._near(said))
        exact = [support for support in near if numbers <= support.said.numbers]
        if near and not exact:
            return Sentence(sentence, (), "number")
        nearest = max((support.nearness for support in exact), default=None)
        agreeing = [support.n for support in exact if support.nearness == nearest and support.said.agrees(said)]
        return Sentence(sentence, (min(agreeing),), "supported") if agreeing else Sentence(sentence, (), "unsupported")

    def _near(self, said: _Said) -> Iterator[_Support]:
        """Yield each run of clauses that holds enough of the sentence's words."""
        for n, clauses in self._statements:
            for length, window in _windows(clauses):
                share = len(said.words & window.words) / max(1, len(said.words))
                if share >= SUPPORT:
                    yield _Support(n, (share, -length), window)


class _Sources:
    """What the sources name, word for word: their code, and the words of their prose."""

    def __init__(self, texts: Iterable[str]) -> None:
        code: list[str] = []
        prose: list[str] = []
        for text in texts:
            spans, rest = _parted(text)
            code += spans
            prose += rest
        self._code = {" ".join(span.split()) for span in code}
        self._destroying = [span for span in self._code if is_destructive(span)]
        lines = [span.split() for span in code] + [_keys(piece) for piece in prose]
        # One line each with blanks at both ends, so that only whole tokens in a row are found in it.
        self._lines = "\n".join(f" {' '.join(line)} " for line in lines)
        self._lines_lower = self._lines.lower()
        self._names = {name for text in (*code, *prose) for name in _names(text)}
        self._programs = {name.lower() for name in self._names}

    def know(self, sentence: str) -> bool:
        """Return whether all that `sentence` names or would have run stands in the sources."""
        code, prose = _parted(sentence)
        return all(self._knows_code(span) for span in code) and all(self._knows_prose(piece) for piece in prose)

    def _knows_code(self, code: str) -> bool:
        """Known is a whole span or line of the sources, or tokens in a row of one; whole only, where it destroys."""
        wanted = " ".join(code.split())
        if not wanted or wanted in self._code:
            return True
        if is_destructive(wanted) or not re.search(r"\w", wanted):
            return False
        return wanted in self._names or f" {wanted} " in self._lines

    def _knows_prose(self, prose: str) -> bool:
        if any(_key(found.group()) not in self._names for found in _NAMED.finditer(prose)):
            return False
        if is_destructive(self._without_known(prose)):
            return False
        tokens = prose.split()
        return all(self._knows_command(tokens[position:]) for position in range(len(tokens)))

    def _without_known(self, prose: str) -> str:
        rest = " ".join(prose.split())
        for code in self._destroying:
            rest = re.sub(rf"(?<!\S){re.escape(code)}(?=[.,;:!?)]*(?:\s|$))", " ", rest)
        return rest

    def _knows_command(self, tokens: list[str]) -> bool:
        """Return whether the command that begins with the first of `tokens`, if any does, stands in the sources."""
        program = _key(tokens[0]).lower()
        if program in _PROGRAMS | _TAKING and program not in self._programs:
            return False
        operands = [] if tokens[0][-1] in _AROUND else list(_operands(tokens[1:]))
        if not operands or not (program in _TAKING or (program in _PROGRAMS | _WORDS and _continues(operands[0]))):
            return True
        together = f" {program} {operands[0]} ".lower() in self._lines_lower
        return together and all(operand in self._names for operand in operands)


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
    return [sentence for line in text.split("\n") for sentence in _cut(line.strip(), _SENTENCE_END)]


def _cut(text: str, end: re.Pattern[str]) -> list[str]:
    """Cut `text` where `end` matches, but never within code."""
    masked = _CODE.sub(lambda found: "x" * len(found.group()), text)
    ends = [0, *(found.start() for found in end.finditer(masked)), len(text)]
    return [piece for start, stop in pairwise(ends) if (piece := text[start:stop].strip())]


def _bare(piece: str) -> str:
    """Return a sentence without the model's own marks, list signs and headings."""
    if piece.startswith("```"):
        return piece
    bare = _MARK.sub(lambda found: found.group(1) or "", piece)
    return re.sub(r"^\s*(?:[-*•#>]+|\d+[.)])(?:\s+|$)", "", bare).strip()


def _parted(text: str) -> tuple[list[str], list[str]]:
    """Return the code in `text` (spans, and the lines of blocks) and the prose between it."""
    code = [line.strip() for block in _FENCE.findall(text) for line in block.split("\n") if line.strip()]
    rest = _CODE.split(_FENCE.sub("\n", text))  # prose, backticks, code by turns
    return code + rest[2::3], rest[::3]


def _without_commands(code: re.Match[str]) -> str:
    """Return code of one word; a command, whose numbers were held against the sources with it, is left out."""
    return " " if re.search(r"\s", code.group(2)) else code.group()


def _clauses(quote: str, section: str) -> list[_Said]:
    """Return what each clause of a statement says: a lead ("Linux:") in all of them; what does not help, denied."""
    pieces = _cut(quote, _CLAUSE_END)
    leads = [piece for piece in pieces[:1] if piece.endswith(":") and len(piece.split()) <= LEAD]
    lead = frozenset(token for piece in leads for token in content_tokens(piece))
    denied = frozenset({_NOT} if section.startswith("Does not help") else ())
    return [_Said(said.words | lead, said.numbers, said.senses | denied) for said in map(_said, pieces)]


def _windows(clauses: list[_Said]) -> Iterator[tuple[int, _Said]]:
    """Yield every run of consecutive clauses, with its length."""
    for start, window in enumerate(clauses):
        yield 1, window
        for length, clause in enumerate(clauses[start + 1 :], 2):
            window |= clause
            yield length, window


def _said(text: str) -> _Said:
    prose = _CODE.sub(" ", text)  # a message or a command that is quoted affirms and denies nothing
    text = re.sub(r"```\w*", " ", text)
    words = re.findall(r"[\w'-]+", prose.lower().replace("’", "'"))
    senses = frozenset(_SENSES[word] for word in words if word in _SENSES)
    return _Said(frozenset(content_tokens(text)), _numbers(text), senses)


def _numbers(text: str) -> frozenset[str]:
    """Return the words with a digit, without thousands separators; also with a unit, and with what bounds them."""
    found: set[str] = set()
    for match in _NUMBER.finditer(text):
        number = re.sub(r",(?=\d{3})", "", match.group(1).lower()) + (match.group(3) or "").lower()
        found |= {number, number + (match.group(2) or "").lower()}
        before = text[max(0, match.start() - _FAR) : match.start()]
        bounds = (_BOUND_BEFORE.search(before), _BOUND_BEHIND.match(text, match.end()))
        senses = [_SENSES.get(bound.group(1).lower(), "") for bound in bounds if bound]
        found |= {f"{sense} {number}" for sense in senses if sense in _BOUNDS}
    return frozenset(found)


def _names(text: str) -> Iterator[str]:
    """Yield the words of a source by which something may be named: as they stand, bare, and without a value."""
    for token in (*text.split(), *_NAMED.findall(text)):
        for name in (token, _key(token), _key(token).partition("=")[0]):
            if re.search(r"\w", name):
                yield name


def _keys(text: str) -> list[str]:
    return [_key(token) for token in text.split()]


def _key(token: str) -> str:
    return token.strip(_AROUND)


def _continues(word: str) -> bool:
    """Return whether `word` behind the name of a program makes a command of the two."""
    return word.lower() in _SUBCOMMANDS or bool(re.match(r"-\w|~?/|\./", word))


def _operands(tokens: list[str]) -> Iterator[str]:
    """Yield what a command outside code goes on with: up to a function word or a stop."""
    for token in tokens:
        if not content_tokens(token) and token[:1] != "-":
            return
        yield _key(token)
        if token[-1] in _AROUND:
            return
