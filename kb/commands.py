"""What commands may destroy: the patterns by which a command is marked before anybody copies it."""

import re

_DESTRUCTIVE = re.compile(
    r"(?<![-\w])rm\s|\bdel\s+/|\brmdir\s+/s|\bRemove-Item(?:Property)?\b|\bmkfs|\bdd\s+.*\bof=|\bdiskpart\b|\bformat\s+[a-z]:"
    r"|\bkill\s+(?:-|PID|\d|\$)|\bpkill\b|\bkillall\b|\btaskkill\b|\bStop-Process\b"
    r"|\bdocker\s+(?:system|volume|image|builder)\s+(?:prune|rm)|\bdocker\s+rm\b|\bollama\s+rm\b|\bwsl\s+--(?:unregister|shutdown)\b"
    r"|\bpnputil\s+/(?:remove|delete)|\bbcdedit\s+/|\breg\s+delete\b|\bmokutil\s+--disable"
    r"|\bpurge\b|\bautoremove\b|\bhf\s+cache\s+(?:rm|prune|delete)|\bconda\s+(?:env\s+)?remove\b|\bgit\s+reset\s+--hard|\bgit\s+clean\b"
    r"|--gpu-reset|\brmmod\b|--break-system-packages",
    re.IGNORECASE,
)


def is_destructive(code: str) -> bool:
    """Return whether running `code` may delete data, end other programs or damage an installation."""
    return bool(_DESTRUCTIVE.search(code))
