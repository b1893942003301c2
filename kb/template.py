"""Signatures: error messages written as templates with typed holes, `Tried to allocate {size}`.

Knows the holes and how a template becomes a regular expression; knows nothing of entries or of logs.
"""

import re
from functools import lru_cache

_NUMBER = r"[-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"

HOLES = {
    "size": rf"{_NUMBER}\s?(?:[KMGTP]i?B|[KMGT]|bytes|B)\b",  # 1.27 GiB, 512MB, 4096 bytes
    "n": _NUMBER,
    "pct": r"\d+(?:\.\d+)?\s?%",
    "version": r"v?\d+(?:\.\d+)*(?:[.+-]?\w+)*",
    "hex": r"(?:0x)?[0-9a-fA-F]+",
    "path": r"[^\s'\"<>|,;]+|'[^']*'|\"[^\"]*\"|(?:[A-Za-z]:\\|[~.]?/)[^'\"<>|]{1,300}?",  # the last: with blanks
    "name": r"[^\s'\"`,;]+",  # one word: a device, a tensor, a module, an architecture
    "any": r".{0,400}?",  # whatever stands there, up to the next literal or the end of the line
}
_HOLE = re.compile(r"\{(\w+)\}")


def holes(template: str) -> list[str]:
    """Return the names of the holes of `template`, in order."""
    return _HOLE.findall(template)


def literal_words(template: str) -> list[str]:
    """Return the lower-case words (two characters or more) that any match of `template` contains whole."""
    words: list[str] = []
    text = _HOLE.sub("\0", template)
    for found in re.finditer(r"(?<![\w\0])[A-Za-z_]\w+(?![\w\0])", text):
        words.append(found.group().lower())
    return words


def check_template(template: str) -> str:
    """Return `template` if it can be compiled; compiling thousands of them takes far longer than this.

    :raises ValueError: for an unknown hole, or where no literal word of two letters remains.
    """
    unknown = [hole for hole in holes(template) if hole not in HOLES]
    if unknown:
        raise ValueError(f"unknown hole {{{unknown[0]}}}; known are " + ", ".join(f"{{{name}}}" for name in HOLES))
    if not literal_words(template):
        raise ValueError("a signature needs at least one literal word")
    return template


@lru_cache(maxsize=8192)
def compile_template(template: str) -> re.Pattern[str]:
    """Return the expression that finds `template` in one line of text, whatever fills its holes.

    Runs of blanks match any run of white space; letters match in either case; each hole is a group.

    :raises ValueError: for a template that is none, see `check_template`.
    """
    check_template(template)
    parts: list[str] = []
    for position, piece in enumerate(_HOLE.split(template.strip())):
        if position % 2:
            parts.append(f"({HOLES[piece]})")
        else:
            parts.append(r"\s+".join(re.escape(words) for words in re.split(r"\s+", piece)))
    start = r"(?<!\w)" if re.match(r"\w", template.strip()) else ""
    end = r"(?!\w)" if re.search(r"\w$", template.strip()) else ""
    return re.compile(start + "".join(parts) + end, re.IGNORECASE)
