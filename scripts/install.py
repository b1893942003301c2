"""Install oomph into .venv: PyTorch without surprise gigabytes, the locked packages, llama.cpp for this machine.

    python3 scripts/install.py            what `make run` needs
    python3 scripts/install.py --dev      and what `make test` and `make check` need
    python3 scripts/install.py --llama    the same as the first, but build llama.cpp again

Each step leaves a stamp in .venv/oomph/ that says what it was done for, and is left out while that still holds.
Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (it is read by the Python that the user has)
    sys.exit(
        f"oomph needs Python 3.11 or newer, and this is {sys.version.split()[0]}: "
        "install one and name it, as in `make PYTHON=python3.12 run`."
    )

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from backend import CMAKE_FLAGS, Choice, build_settings, choose, probe

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
STAMPS = VENV / "oomph"
PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

SECONDS_BETWEEN_LOG_LINES = 30

# What shows that something moves: pip's words, and [12/180] by ninja or [ 12%] by make.
MOVING = re.compile(
    r"^\s*(?P<pip>(Collecting|Downloading) [^ =]+|Installing (build|collected)[a-z ]+)"
    r"|^\s*\[\s*(?P<built>\d+/\d+|\d+%)\s*\]"
)
ERROR = re.compile(r"CMake Error|(^|\s)(fatal )?error:|ERROR:")
LINES_OF_CAUSE = 8


class CannotInstall(Exception):
    """What is wrong and what to do next, in words for the user."""


def main() -> None:
    """Do the steps that are not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--llama", action="store_true", help="build llama-cpp-python again")
    options = parser.parse_args()
    try:
        check_machine()
        make_venv()
        install_torch()
        install_locked("requirements.lock", "the packages oomph needs: about 300 MB")
        install_llama(again=options.llama)
        install_oomph()
        if options.dev:
            install_locked("requirements-dev.lock", "the tools for tests and checks: about 100 MB")
    except CannotInstall as problem:
        sys.exit(f"\noomph is not installed. {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; the same command goes on from here.")


def check_machine() -> None:
    """Stop before anything is installed when something is missing that pip cannot bring. (It can bring CMake.)"""
    if not importlib.util.find_spec("ensurepip"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotInstall(
            "This Python cannot make virtual environments: install its venv module "
            f"(Debian, Ubuntu: apt install python{version}-venv) and try again."
        )
    compilers = {
        "C": (os.environ.get("CC"), "cc", "gcc", "clang"),
        "C++": (os.environ.get("CXX"), "c++", "g++", "clang++"),
    }
    for language, names in compilers.items():
        # On Windows the compiler is found by CMake, not on the PATH.
        if os.name != "nt" and not any(shutil.which(name) for name in names if name):
            raise CannotInstall(
                f"No {language} compiler is here, and llama.cpp is built from source: install one "
                "(Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install) and try again."
            )


def make_venv() -> None:
    """Make .venv, or make it again when its pip no longer runs, as after an upgrade of the system's Python."""
    if not Path(PYTHON).exists() or subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode:
        say("Making the virtual environment .venv: a few seconds")
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    STAMPS.mkdir(exist_ok=True)


def install_torch() -> None:
    """Install the torch that pyproject.toml names, in its build for the CPU: our embedding model is small."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    torch = next(dependency for dependency in dependencies if dependency.startswith("torch=="))

    def install() -> None:
        try:
            pip("install", "--no-deps", *torch_source(torch, sys.platform))
        except CannotInstall:
            raise CannotInstall(
                f"The CPU build of {torch} did not come from {PYTORCH_CPU_INDEX} (pip says above why). Check that this "
                "machine reaches that address, or put the wheel into a folder and name the folder in PIP_FIND_LINKS; "
                "then try again. The build that PyPI has is not taken: it may bring several gigabytes of CUDA packages."
            ) from None

    once("torch", torch, f"Installing {torch} for the CPU: 100 to 250 MB", install)


def torch_source(torch: str, system: str) -> list[str]:
    """What to ask pip for: on macOS, PyPI's build; elsewhere the "+cpu" build, which PyPI never has.

    Asking for "+cpu" is what keeps gigabytes out. `pip install --dry-run` cannot be asked what a build would
    bring: up to at least pip 26.3 it downloads all of it to answer.
    """
    return [torch] if system == "darwin" else ["--retries", "1", "--extra-index-url", PYTORCH_CPU_INDEX, f"{torch}+cpu"]


def install_locked(lock: str, what: str) -> None:
    """Install every package of a lock file, in the version and with the hash it names."""
    count = len(re.findall(r"^[^\s#]+==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
    once(
        lock,
        digest(ROOT / lock),
        f"Installing {what}, {count} packages",
        lambda: pip_logged(lock, ["-r", str(ROOT / lock)], {}),
    )


def install_llama(again: bool) -> None:
    """Build llama-cpp-python for what this machine has; where a GPU's build fails, for the CPU."""
    wanted = os.environ.get("LLAMA", "").strip().lower()
    try:
        choice = choose(probe(), wanted)
    except ValueError as problem:
        raise CannotInstall(str(problem)) from None
    for hint in choice.hints:
        print(hint, flush=True)

    def build() -> None:
        try:
            build_llama(choice)
        except CannotInstall as problem:
            if wanted or choice.backend == "cpu":
                raise
            print(f"llama.cpp could not be built for {choice.backend}: {problem}", flush=True)
            print(f"The CPU is used instead; `make llama` tries {choice.backend} again.", flush=True)
            build_llama(Choice("cpu", f"building for {choice.backend} failed"))

    if again:
        (STAMPS / "llama").unlink(missing_ok=True)
    key = f"{choice.backend} {os.environ.get('CMAKE_ARGS', '')} {digest(ROOT / 'requirements-llama.lock')}"
    once("llama", key, "", build)


def build_llama(choice: Choice) -> None:
    """Build and install llama-cpp-python for one backend."""
    lock = ROOT / "requirements-llama.lock"
    minutes = "5" if choice.backend in ("cpu", "metal") else "10 to 30"
    say(f"Building llama.cpp for {choice.backend}, because {choice.reason}: 77 MB and about {minutes} minutes, once")
    # Without the part that reads pictures: nothing here uses it, and the build is shorter.
    flags = [os.environ.get("CMAKE_ARGS", ""), *CMAKE_FLAGS[choice.backend], "-DLLAVA_BUILD=off"]
    settings = {
        "CMAKE_ARGS": " ".join(flags).strip(),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count()),
        **build_settings(choice.backend),
    }
    # Without pip's cache: it keeps what was built by name and version only, so it would serve another backend's build.
    arguments = ["--verbose", "--no-cache-dir", "--force-reinstall", "-r", str(lock)]
    pip_logged(f"llama-{choice.backend}", arguments, settings)


def install_oomph() -> None:
    """Install this checkout so that its files are used where they lie, and the command `oomph` exists."""
    once(
        "oomph",
        f"{ROOT} {digest(ROOT / 'pyproject.toml')}",
        "Installing oomph itself: a few seconds",
        lambda: pip("install", "--quiet", "--no-deps", "--editable", str(ROOT)),
    )


def once(name: str, key: str, announcement: str, action: Callable[[], None]) -> None:
    """Do a step unless its stamp says that it was done for the same key; the stamp is written when it succeeded."""
    stamp = STAMPS / name
    if stamp.exists() and stamp.read_text() == key:
        return
    say(announcement)
    action()
    stamp.write_text(key)


def say(announcement: str) -> None:
    """One line before something that takes time."""
    if announcement:
        print(f"== {announcement}", flush=True)


def pip(*arguments: str) -> None:
    """Run pip in .venv with its words and progress bars on the terminal."""
    done = subprocess.run([PYTHON, "-m", "pip", *arguments], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise CannotInstall("pip says above what stopped it; when that is mended, the same command goes on from here.")


def pip_logged(name: str, arguments: list[str], settings: dict[str, str]) -> None:
    """Run pip in .venv with its many words in a log, and on the terminal only how far it is."""
    log = STAMPS / f"{name}.log"
    command = [PYTHON, "-m", "pip", "install", "--no-deps", "--require-hashes", *arguments]
    process = subprocess.Popen(
        command, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    show = Progress()
    with process, log.open("w", encoding="utf-8") as lines:
        for line in process.stdout or ():
            lines.write(line)
            if found := MOVING.search(line):
                show(found["pip"] or f"compiled {found['built']}")
    show.end()
    if process.returncode:
        begins = cause(log.read_text(encoding="utf-8"))
        raise CannotInstall(f"pip stopped; all it said is in {log}, and the cause begins so:\n{begins}")


def cause(said: str) -> str:
    """The lines from the first error on: what follows in a build's log mostly says again that it failed."""
    lines = said.splitlines()
    first = next((number for number, line in enumerate(lines) if ERROR.search(line)), len(lines) - LINES_OF_CAUSE)
    return "\n".join(lines[max(first, 0) :][:LINES_OF_CAUSE])


class Progress:
    """One line that renews itself on a terminal; in a log file, a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last = 0.0

    def __call__(self, text: str) -> None:
        """Show where we are."""
        if self._terminal:
            print(f"\r   {text[:60]:<60}", end="", flush=True)
        elif time.monotonic() - self._last > SECONDS_BETWEEN_LOG_LINES:
            print(f"   {text}", flush=True)
            self._last = time.monotonic()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print("\r" + " " * 63, end="\r", flush=True)


def digest(path: Path) -> str:
    """Short fingerprint of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    main()
