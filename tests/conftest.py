"""What all tests share: a sealed machine, honest fakes, a small knowledge base, and the real one indexed once."""

import hashlib
import importlib.metadata
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from index import generation as store
from index.build import build
from index.embed import SentenceEncoder, Vectors
from index.generation import Generation
from kb.read import BUILT_IN
from rag.ask import Asker

DATA = Path(__file__).parent / "data"


def pytest_report_header():
    named = ("torch", "sentence-transformers", "faiss-cpu", "llama-cpp-python", "gradio", "pydantic")
    return "oomph: " + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in named)


class WordEncoder:
    """An encoder without a model: a text is the sum of one fixed random vector per word; equal words make near texts."""

    identity = "words:64"
    window = 60

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        rows = np.stack([sum((_word(word) for word in text.lower().split()), _word("")) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _word(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(64)


class ScriptedWriter:
    """A writer that says what it was given, a few characters at a time, and remembers what it was asked."""

    name = "scripted"

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[list[dict[str, str]]] = []

    def write(self, messages: list[dict[str, str]], stop: threading.Event) -> Iterator[str]:
        self.asked.append(messages)
        for start in range(0, len(self.text), 7):
            if stop.is_set():
                return
            yield self.text[start : start + 7]


@pytest.fixture(autouse=True)
def sealed(monkeypatch, tmp_path):
    """No address but this machine's, and a home folder of its own."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("OOMPH_MODEL", "OOMPH_EMBEDDER", "OOMPH_HOST", "OOMPH_PORT", "OOMPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OOMPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def kettle(tmp_path) -> Path:
    """A copy of the small knowledge base that a test may change."""
    folder = tmp_path / "kettle"
    shutil.copytree(DATA / "kb", folder)
    return folder


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


def silent(what: str, done: int, of: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def kettles(kettle, tmp_path, encoder) -> Generation:
    """The small knowledge base, indexed."""
    report = build([kettle], tmp_path / "home", encoder, silent)
    return store.load(report.generation)


@pytest.fixture(scope="session")
def real_encoder() -> SentenceEncoder:
    return SentenceEncoder()


@pytest.fixture(scope="session")
def real_home(tmp_path_factory, real_encoder) -> Path:
    """A home with the real knowledge base indexed by the real embedder, once for all tests; copy it to change it."""
    home = tmp_path_factory.mktemp("real") / "home"
    build([BUILT_IN], home, real_encoder, silent)
    return home


@pytest.fixture(scope="session")
def asker(real_home, real_encoder) -> Asker:
    """The whole of it, without a model."""
    generation = store.load(store.current(real_home))
    return Asker(lambda: generation, real_encoder)
