"""Find a Chromium for the browser tests, and fetch one where there is none.

Prints the browser's path and nothing else, so that tests and people can ask: python scripts/browser.py
Run it with .venv's Python: Playwright, which drives the browser, also knows how to download one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Print where the browser is; fetch it first where that is needed and possible."""
    browser = find() or fetch()
    if not browser:
        sys.exit(
            "The browser tests need Chromium, and it could not be fetched (above is why): "
            f"install it so that {' or '.join(NAMES[:3])} is on the PATH, and try again."
        )
    print(browser)


def find() -> str:
    """A Chromium on the PATH, else the one that Playwright downloaded, else ""."""
    installed = next((path for name in NAMES if (path := shutil.which(name))), "")
    return installed or downloaded()


def downloaded() -> str:
    """Where Playwright keeps its own Chromium, or "" where it has none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return ""
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else ""


def fetch() -> str:
    """Let Playwright download one, else let Debian's package manager install one where we may ask it to."""
    if tried([sys.executable, "-m", "playwright", "install", "chromium"], "150 MB, once") and (browser := find()):
        return browser
    if shutil.which("apt-get") and os.name == "posix" and os.geteuid() == 0:
        tried(["apt-get", "-q", "update"], "some seconds")
        tried(["apt-get", "-q", "install", "--yes", "chromium"], "100 MB, once")
    return find()


def tried(command: list[str], cost: str) -> bool:
    """Say what is done and what it costs, do it with its words on stderr, and tell whether it worked."""
    print(f"== {' '.join(command)}: {cost}", file=sys.stderr, flush=True)
    unattended = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=unattended, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
