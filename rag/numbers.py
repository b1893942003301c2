"""The numbers in known messages → sentences about them: what was asked for, what was free, what is missing.

GiB is 2^30 bytes and GB is 10^9; a program's own units are kept as it printed them.
"""

import re
from collections.abc import Sequence

from index.signatures import readings, wrapped

_UNITS = {
    "b": 1, "bytes": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
    "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40,
}  # fmt: skip
_COUNT = r"\d{1,15}(?:,\d{3}){0,4}"  # 2500 or 2,500
_SIZE = _COUNT + r"(?:\.\d{1,9})?\s?(?:[KMGT]i?B|bytes|[KMGT]\b)"

_MESSAGES: tuple[tuple[str, str], ...] = (
    (
        rf"(?:out of memory\.\s+)?Tried to allocate (?P<asked>{_SIZE})\. GPU (?P<gpu>\d+) has a total capac\w+ of (?P<total>{_SIZE}) of which (?P<free>{_SIZE}) is free",
        "Asked for {asked} with {free} free of {total} on GPU {gpu}{missing}.",
    ),
    (
        rf"(?:out of memory\.\s+)?Tried to allocate (?P<asked>{_SIZE}) \(GPU (?P<gpu>\d+); (?P<total>{_SIZE}) total capacity; .*?(?P<free>{_SIZE}) free",
        "Asked for {asked} with {free} free of {total} on GPU {gpu}{missing}.",
    ),
    (
        rf"(?P<allocated>{_SIZE}) is allocated by PyTorch, and (?P<unused>{_SIZE}) is reserved by PyTorch but unallocated",
        "PyTorch holds {allocated} in use and another {unused} reserved but unused.",
    ),
    (
        rf"Process (?P<process>\d+) has (?P<held>{_SIZE}) memory in use",
        "Process {process} holds {held} on the card.",
    ),
    (
        rf"(?:out of memory \()?MPS allocated: (?P<allocated>{_SIZE}), other allocations: (?P<other>{_SIZE}), max allowed: (?P<total>{_SIZE})\)\. Tried to allocate (?P<asked>{_SIZE})",
        "Asked for {asked} with {allocated} and {other} already in use, of {total} allowed.",
    ),
    (
        rf"requires more system memory \((?P<asked>{_SIZE})\) than is available \((?P<free>{_SIZE})\)",
        "The model needs {asked} of system memory with {free} available{missing}.",
    ),
    (
        rf"allocating (?P<asked>{_SIZE}) on device (?P<gpu>\d+): cudaMalloc failed",
        "Asked for {asked} on GPU {gpu}, which did not have it free.",
    ),
    (
        rf"Requested tokens \((?P<asked>{_COUNT})\) exceed context window of (?P<window>{_COUNT})",
        "The prompt has {asked} tokens, the context window holds {window}: {over} too many.",
    ),
    (
        rf"request \((?P<asked>{_COUNT}) tokens\) exceeds the available context size \((?P<window>{_COUNT}) tokens\)",
        "The request has {asked} tokens, the context holds {window}: {over} too many.",
    ),
    (
        rf"maximum context length is (?P<window>{_COUNT}) tokens.{{0,40}}?requested (?P<asked>{_COUNT}) tokens",
        "The request has {asked} tokens, the model's limit is {window}: {over} too many.",
    ),
    (
        rf"\((?P<asked>{_COUNT}) > (?P<window>{_COUNT})\)\. Running this sequence",
        "The text has {asked} tokens, the model's limit is {window}: {over} too many.",
    ),
    (
        rf"max seq len \((?P<length>{_COUNT})\).{{0,80}}?\((?P<asked>{_SIZE}) KV cache is needed, which is larger than the available KV cache memory \((?P<free>{_SIZE})\)",
        "{length} tokens need {asked} of KV cache with {free} available{missing}.",
    ),
    (
        rf"(?P<asked>{_SIZE}) KV cache is needed, which is larger than the available KV cache memory \((?P<free>{_SIZE})\)",
        "{asked} of KV cache are needed with {free} available{missing}.",
    ),
    (
        rf"(?:out of memory\.\s+)?Tried to allocate (?P<asked>{_SIZE})",
        "Asked for {asked}.",
    ),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), sentence) for pattern, sentence in _MESSAGES)


def sentences(lines: Sequence[str], position: int) -> list[str]:
    """Return what the numbers of the message at `lines[position]` say, also where it was wrapped into the lines below."""
    line = lines[position]
    texts = [line, *readings(wrapped(lines, position))]
    return max((_all_told(text, len(line)) for text in texts), key=lambda told: len(" ".join(told)))


def _all_told(text: str, own: int) -> list[str]:
    """Return the sentences about `text`; the first must begin in its `own` characters, or they are about another message."""
    told: list[str] = []
    for pattern, sentence in _COMPILED:
        found = pattern.search(text)
        if found and (told or found.start() < own) and not (told and "asked" in found.groupdict()):
            told.append(_told(sentence, found.groupdict()))
    return told


def _told(sentence: str, values: dict[str, str]) -> str:
    missing, over = "", ""
    if "asked" in values and "free" in values:
        lacking = to_bytes(values["asked"]) - to_bytes(values["free"])
        if lacking > 0:
            missing = f": {in_gib(lacking)} is missing"
    if "asked" in values and "window" in values:
        over = str(_number(values["asked"]) - _number(values["window"]))
    return sentence.format(**values, missing=missing, over=over)


def _number(count: str) -> int:
    return int(count.replace(",", ""))


def to_bytes(size: str) -> float:
    """Return the number of bytes in `size`, such as `1.27 GiB`, `1,024 MiB` or `512MB`."""
    found = re.match(r"(\d[\d,]*(?:\.\d+)?)\s?(\w+)", size)
    if not found or found.group(2).lower() not in _UNITS:
        raise ValueError(f"{size!r} is no size")
    return float(found.group(1).replace(",", "")) * _UNITS[found.group(2).lower()]


def in_gib(size: float) -> str:
    """Return `size` bytes in GiB, or in MiB below a tenth of one."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.0f} MiB"
