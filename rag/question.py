"""What was pasted → Question. Colours, progress bars, timestamps and prefixes off; telling lines found; hints taken.

Knows how logs look; knows nothing of entries.
"""

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate

from kb.failures import BadInput
from rag.answer import Hints, Question

MAX_CHARACTERS = 6_000_000  # beyond, the end is kept: that is where programs say why they stopped
MAX_LINE = 4_000  # characters of one line; a longer one is cut into pieces
MAX_SEARCHED = 1_200  # characters that are searched by; the embedder reads 256 tokens
MAX_TELLING = 400  # of them from one line of a log
MAX_HINTED = (
    40_000  # characters that hints are taken from; beyond, the beginnings of lines near both ends and the errors
)

_ANSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_PIECE = re.compile(
    r".{1,1000}(?:[.;] |$)|.{1,1000} |.{1,1000}"
)  # of a long line, cut at the end of a sentence where there is one
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\n])", re.MULTILINE)  # what a progress bar wrote over
_BAR = re.compile(  # each part is bounded or starts at a sign of its own, so that no line takes more than linear time
    r"""(?:
      %\s*(?:
          \|[ \d#=>.█▉▊▋▌▍▎▏-]*\|                                  #  38%|███▊      |
        | ▕[^▏%]*▏                                                 # 100% ▕██████████▏
        | \[[=>.# -]*\]                                            # 45%[====>     ]
        | Completed[ ]\|(?=[ ]\d)                                  # 25% Completed |
        | (?=[\d.]{1,9}[kMGT]?/[\d.]{1,9}[kMGT]?B?[ ]\[\d+:\d\d)   # 100% 661/661 [00:00
      )
      | ━━━[━╸╺]*                                                  # ━━━━━━━━━━╸
      | \|[█▉▊▋▌▍▎▏]+[ ]*\|                                        # |████████    |
    )
    (?:\s*[\d.]+[ ]?[kKMGT]?i?B?(?:/[\d.?]+[ ]?[kKMGT]?i?B?)?)?    # 3/8, 878/878 kB, 0 B/4.7 GB
    (?:\s*\[\d+:\d\d[^\]]*\])?                                    # [00:02<00:03,  1.28it/s]
    (?:\s*[\d.]+[ ]?[kKMGT]?i?B/s)?                               # 58.6 MB/s
    (?:\s*eta[ ][\d:smh-]+)?                                      # eta 0:00:00""",
    re.VERBOSE,
)
_BAR_NAME = re.compile(r"(?:.{0,80}(?::|\.\.\.)|\S*)\s*\d{0,3}(?:\.\d+)?")  # Loading checkpoint shards:  38
_PREFIX = re.compile(
    r"""(?:
      \s*\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[ ]?[+-]\d\d:?\d\d)?\]?[ \t:|-]*   # 2026-11-20 12:00:00,123
    | \s*\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?[ \t|-]+                                                           # 12:00:00
    | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ ]{1,2}\d{1,2}[ ]\d\d:\d\d:\d\d[ ]\S+[ ][\w./-]+(?:\[\d+\])?:[ ]  # journal
    | \[\s*\d+\.\d+\][ ]                                                                                     # kernel
    | \[(?:rank|gpu|worker|local_rank)[ _:]?\d+\]:?[ ]?                                                      # [rank0]:
    | \((?:\w+[ ])?pid=\d+(?:,[ ]ip=[\d.]+)?\)[ ]                                                            # (RayWorker pid=1)
    | \([A-Z]\w*(?:_[A-Z0-9]+)*[ ]pid=\d+\)[ ]
    | (?:rank|node)\d+:[ ]
    | [\w.-]+-\d+[ ]{1,4}\|[ ]                                                                               # compose: web-1  |
    | (?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)(?:[ ]?:|[ ]+(?=[\[(\d]))[ ]*(?!$)
    | [IWEF]\d{4}[ ]\d\d:\d\d:\d\d\.\d+[ ]+\d+[ ][\w.]+:\d+\][ ]                                             # glog
    | (?:>{3}|\.{3}|[$#])[ ](?=\S)
    )+""",
    re.VERBOSE,
)
_EXCEPTION = re.compile(
    r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt|NotFound|Warning|Failure)\b(?::|$)"
)
_FAILURE = re.compile(
    r"(?i)\b(?:error|fatal|failed|failure|fails|panic|abort(?:ed|ing)?|exception|out of memory|oom(?:[- ]?kill(?:ed|er)?)?|killed|(?:crashloop|imagepull)backoff|core dumped|segmentation fault"
    r"|cannot|can't|could not|couldn't|unable to|not found|no such|denied|refused|unsupported|not supported|invalid|illegal"
    r"|missing|mismatch|unknown|insufficient|not enough|exceed(?:s|ed)?|too (?:old|large|long|small)|unavailable|not available|assert\w*)\b"
)
_STEMS = (  # at least one of them stands in whatever _FAILURE finds
    *(
        "error",
        "fatal",
        "fail",
        "panic",
        "abort",
        "exception",
        "memory",
        "oom",
        "killed",
        "dumped",
        "fault",
        "can",
        "could",
        "backoff",
    ),
    *(
        "unable",
        "not ",
        "no such",
        "denied",
        "refused",
        "unsupported",
        "invalid",
        "illegal",
        "missing",
        "mismatch",
        "unknown",
    ),
    *("insufficient", "exceed", "too ", "unavailable", "assert"),
)
_FRAME = re.compile(r'^\s*(?:File "|at |\^+$|~+\^|#\d+ 0x)|^Traceback')
_MASKED = re.compile(
    r"""https?://\S+
    | (?<![\w.])(?:[A-Za-z]:)?(?:[\\/][\w.@+~-]+(?:[ ][\w.@+~-]+(?=\\))*){2,}[\\/]?  # paths of two parts or more
    | \b0x[0-9a-fA-F]+\b | \b[0-9a-f]{12,}\b""",
    re.VERBOSE,
)
_LOG_WORD = re.compile(r"[=:\[\](){}<>_/\\|]|\d{2,}")

_HINTS: dict[str, dict[str, re.Pattern[str]]] = {
    "platforms": {
        "wsl": re.compile(r"(?i)\bwsl ?2?\b|microsoft-standard"),
        "docker": re.compile(r"(?i)\bdocker\b|\bcontainers?\b|\bpodman\b|\bcompose\b|\bkubernetes\b|\bk8s\b"),
        "windows": re.compile(
            r"(?i)\bwindows\b|\bwin(?:32|10|11)\b|\bpowershell\b|\b[A-Z]:\\|\.dll\b|\.exe\b|\bWinError\b"
        ),
        "macos": re.compile(
            r"(?i)\bmac ?os\b|\bmac(?:book|s| mini| studio)?\b|\bosx\b|\bdarwin\b|apple silicon|\bm[1-5] (?:pro|max|ultra)\b"
        ),
        "linux": re.compile(
            r"(?i)\blinux\b|\bubuntu\b|\bdebian\b|\bfedora\b|\barch\b|\bnixos\b|/home/|/usr/|/opt/|\.so(?:\.\d+)*\b"
        ),
    },
    "vendors": {
        "nvidia": re.compile(
            r"(?i)nvidia|\bcuda|\bgeforce\b|\brtx ?\d|\bgtx ?\d|\btesla\b|\bquadro\b|\b[ahbl]\d00\b|cublas|cudnn"
        ),
        "amd": re.compile(r"(?i)\bamd\b|\brocm|\bradeon\b|\brx ?\d{4}|\bgfx\d|\bhip\b|\bhipblas|\bmi\d{2,3}x?\b"),
        "apple": re.compile(r"(?i)\bapple\b|\bmetal\b|\bmps\b|\bm[1-5] (?:pro|max|ultra|chip)\b|macbook"),
        "intel": re.compile(r"(?i)\bintel\b|\barc [ab]\d{3}\b|\bxpu\b|\boneapi\b|\bsycl\b"),
    },
    "tools": {
        "ollama": re.compile(r"(?i)\bollama\b"),
        "llama.cpp": re.compile(
            r"(?i)\bllama[._-]?cpp\b|\bllama-(?:server|cli|bench|quantize)\b|\bggml_|\bllama_model|\bllama_context|\bgguf\b"
        ),
        "llama-cpp-python": re.compile(r"(?i)\bllama[-_]cpp[-_]python\b|from llama_cpp"),
        "vllm": re.compile(r"(?i)\bvllm\b"),
        "transformers": re.compile(r"(?i)\btransformers\b|from_pretrained"),
        "pytorch": re.compile(r"(?i)\bpytorch\b|\btorch\b"),
        "lm-studio": re.compile(r"(?i)\blm[ -]?studio\b|\blmstudio\b"),
        "open-webui": re.compile(r"(?i)\bopen[ -]?webui\b"),
        "comfyui": re.compile(r"(?i)\bcomfy(?:ui)?\b"),
        "docker": re.compile(r"(?i)\bdocker\b"),
        "bitsandbytes": re.compile(r"(?i)\bbitsandbytes\b|\bbnb\b"),
    },
    "phases": {
        "train": re.compile(
            r"(?i)\bfine-?tun|\btrain(?:ing|er)?\b|loss\.backward|optimizer\.step|\bq?lora\b|\bepoch\b"
        ),
        "load": re.compile(
            r"(?i)from_pretrained|loading checkpoint|load(?:ing|s)? (?:the |a |my )?(?:model|weights)|load_model|while loading|load_state_dict"
        ),
        "generate": re.compile(
            r"(?i)\.generate\(|\blong (?:chat|conversation|context|prompt)|while generating|during (?:inference|generation)|after a while"
        ),
        "install": re.compile(r"(?i)\bpip3? install\b|\binstall(?:ing|ed|ation)?\b"),
        "build": re.compile(r"(?i)\bcmake\b|\bcompil(?:e|ing)\b|building wheel"),
    },
}


def read(text: str) -> Question:
    """Reduce what was pasted to what matters.

    :raises BadInput: where nothing readable is left: empty, blank, only symbols or control characters.
    """
    tidy = _tidy(text)
    if not re.search(r"\w", tidy):
        raise BadInput("There is nothing to read in that.", "Paste an error message, a log or a question.")
    lines = _lines(tidy)
    errors = _errors(lines)
    is_log = len(lines) >= 4 or bool(errors and (len(lines) > 1 and any(_looks_logged(line) for line in lines)))
    words = _search_words(lines, errors, is_log)
    return Question(tidy, tuple(lines), tuple(errors), words, _hints(lines, errors, is_log), is_log)


def _tidy(text: str) -> str:
    """Drop colours and control characters, keep the last state of overwritten lines, normalise Unicode and line ends."""
    cut = text if len(text) <= MAX_CHARACTERS else text[-MAX_CHARACTERS:]
    cut = _ANSI.sub("", cut) if "\x1b" in cut or "\x9b" in cut else cut
    cut = cut.replace("\r\n", "\n")
    cut = _OVERWRITTEN.sub("", cut).replace("\r", "\n") if "\r" in cut else cut
    cut = cut.encode("utf-8", "replace").decode("utf-8")  # lone surrogates, as from broken pipes
    return unicodedata.normalize("NFC", _CONTROL.sub("", cut))


def _lines(tidy: str) -> list[str]:
    """Return the lines without prefixes and progress bars, each only once, in order; bars' names where nothing else is left."""
    seen: dict[str, None] = {}
    names: dict[str, None] = {}
    for raw in tidy.split("\n"):
        for piece in _pieces(raw) if len(raw) > MAX_LINE else (raw,):
            prefix = _PREFIX.match(piece)
            line = piece[prefix.end() :] if prefix else piece
            if "%" in line or "━━━" in line or "|█" in line:
                line, name = _without_bars(line)
                names[name] = None
            line = line.rstrip()
            if line:
                seen[line] = None
    return list(seen) or [name for name in names if name]


def _without_bars(line: str) -> tuple[str, str]:
    """Return what a line says beside its progress bars, such as "Killed" behind one; and the names that stand before them."""
    *before, rest = _BAR.split(line)
    said = [part.rstrip(" .0123456789") for part in before if not _BAR_NAME.fullmatch(part)]
    names = [part.strip() for part in before if _BAR_NAME.fullmatch(part)]
    return " ".join([*said, rest]), " ".join(names)


def _pieces(raw: str) -> list[str]:
    """Return a long line cut where JSON has written a line end as two characters, then at ends of sentences."""
    return [piece for part in raw.split("\\n") for piece in _PIECE.findall(part)]


def _errors(lines: list[str]) -> list[int]:
    """Return the lines that report a failure: exceptions first (the first of a chain is its cause), then other words of failure."""
    exceptions = [position for position, line in enumerate(lines) if _EXCEPTION.match(line.lstrip())]
    known = set(exceptions)
    others = [
        position
        for position in _suspects(lines)
        if position not in known and _FAILURE.search(lines[position]) and not _is_traced(lines, position)
    ]
    return exceptions + others


def _is_traced(lines: list[str], position: int) -> bool:
    """Return whether a line belongs to a stack trace: a frame, or the code that stands below one."""
    line = lines[position]
    below = position > 0 and lines[position - 1].lstrip().startswith('File "')
    return bool(_FRAME.match(line)) or (below and line.startswith("    "))


def _suspects(lines: list[str]) -> list[int]:
    """Return the lines that hold a stem of a word of failure: one fast scan of the whole text for each stem."""
    lowered = [line.lower() for line in lines]  # which may be longer: İ becomes two characters
    text = "\n".join(lowered)
    starts = list(accumulate((len(line) + 1 for line in lowered), initial=0))
    found: set[int] = set()
    for stem in _STEMS:
        place = text.find(stem)
        while place >= 0:
            line = bisect_right(starts, place) - 1
            found.add(line)
            place = text.find(stem, starts[line + 1])
    return sorted(position for position in found if position < len(lines))


def _looks_logged(line: str) -> bool:
    """Return whether a line was printed by a program rather than written by a person."""
    begins = _EXCEPTION.match(line) or _FRAME.match(line) or line.startswith("    ")
    return bool(begins or len(_LOG_WORD.findall(line)) >= 3)


def _search_words(lines: list[str], errors: list[int], is_log: bool) -> str:
    """Return what to search by: a question whole; of a log or a long text the person's own words and its telling lines."""
    whole = " ".join(lines)
    if not is_log and (len(whole) <= MAX_SEARCHED or not errors):
        return _mask(whole)[:MAX_SEARCHED]
    own = [line for line in (*lines[:3], *lines[-3:]) if not _looks_logged(line) and len(line.split()) > 2]
    telling = [lines[position] for position in errors[:4]] or lines[-3:]
    chosen = dict.fromkeys(map(_telling, [*own, *telling]))
    return _mask("\n".join(chosen))[:MAX_SEARCHED]


def _telling(line: str) -> str:
    """Return the part of a line that is searched by: around its first word of failure."""
    found = _FAILURE.search(line) if len(line) > MAX_TELLING else None
    start = max(0, found.start() - MAX_TELLING // 2) if found else 0
    return line[start : start + MAX_TELLING]


def _mask(text: str) -> str:
    """Take addresses, paths, hashes out of `text`: they say where, not what."""
    return _MASKED.sub(" ", text).strip()


def _hints(lines: list[str], errors: list[int], is_log: bool) -> Hints:
    """Return what the text says about platform, vendor, tool and phase."""
    text = "\n".join(lines)
    if len(text) > MAX_HINTED:
        near = [*lines[:80], *(lines[position] for position in errors[:40]), *lines[-80:]]
        text = "\n".join(line[:200] for line in near)
    found = {
        kind: frozenset(name for name, pattern in patterns.items() if pattern.search(text))
        for kind, patterns in _HINTS.items()
    }
    return Hints(**found)
