"""Prompt → words. `LlamaWriter` runs any GGUF through llama-cpp-python, whose only importer this is."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kb.failures import ModelFailure

if TYPE_CHECKING:
    from llama_cpp import Llama

CONTEXT = 8192  # tokens asked for; a model that knows fewer gets what it knows
MAX_NEW = 400  # tokens of an explanation


class Writer(Protocol):
    """Writes an explanation, piece by piece, until it is done or told to stop."""

    name: str

    def write(self, messages: list[dict[str, str]], stop: threading.Event) -> Iterator[str]:
        """Yield pieces of text; ends soon after `stop` is set.

        :raises ModelFailure: where the model cannot be loaded or used.
        """


class LlamaWriter:
    """A GGUF file, loaded when the first word is wanted, with all layers on the GPU where the build can.

    :raises ModelFailure: where the file is missing or is no GGUF.
    """

    def __init__(self, file: Path, context: int = CONTEXT) -> None:
        self.file, self.name, self._context = file, file.stem, context
        self._lock = threading.Lock()  # llama.cpp is not safe for two threads: one writes, the others wait
        self._llama: Llama | None = None
        try:
            with file.open("rb") as stream:
                magic = stream.read(4)
        except OSError as fault:
            raise ModelFailure(
                f"{file} cannot be opened ({fault.strerror or fault}).", "Check the path given as the model."
            ) from fault
        if magic != b"GGUF":
            raise ModelFailure(
                f"{file.name} is no GGUF file (it starts with {magic!r}).",
                "Take a file that ends in .gguf from the model's page, and check that it was downloaded whole.",
            )

    def write(self, messages: list[dict[str, str]], stop: threading.Event) -> Iterator[str]:
        """Yield pieces of text; one question at a time."""
        with self._lock:
            if stop.is_set():
                return
            llama = self._loaded()
            try:
                chunks = llama.create_chat_completion(
                    messages,  # type: ignore[arg-type]  # plain dicts are what it takes
                    max_tokens=MAX_NEW,
                    temperature=0.2,
                    top_p=0.9,
                    stream=True,
                )
                for chunk in chunks:
                    if stop.is_set():
                        return
                    text = chunk["choices"][0]["delta"].get("content")  # type: ignore[index,union-attr]
                    if text:
                        yield str(text)
            except (ValueError, RuntimeError) as fault:
                raise ModelFailure(
                    f"{self.name} stopped ({fault}).",
                    "The card above holds without it; try a smaller model or a shorter question.",
                ) from fault

    def describe(self) -> str:
        """Return the model's name and where it runs."""
        return f"{self.name} on the {'GPU' if gpu_offload() else 'CPU'}"

    def _loaded(self) -> "Llama":
        if self._llama is None:
            from llama_cpp import Llama

            try:
                self._llama = Llama(
                    str(self.file), n_ctx=self._context, n_gpu_layers=-1 if gpu_offload() else 0, verbose=False
                )
            except (ValueError, RuntimeError, OSError, AssertionError) as fault:
                raise ModelFailure(
                    f"{self.file.name} cannot be loaded ({fault}).",
                    "It may be cut off, too new for this llama.cpp, or too large; the card holds without it.",
                ) from fault
        return self._llama


def gpu_offload() -> bool:
    """Return whether llama.cpp was built with a GPU backend."""
    from llama_cpp import llama_supports_gpu_offload

    return bool(llama_supports_gpu_offload())
