"""Prompt → words. `LlamaWriter` runs any GGUF through llama-cpp-python, whose only importer this is."""

import codecs
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kb.failures import ModelFailure

if TYPE_CHECKING:
    from llama_cpp import Llama, llama_model_p

CONTEXT = 8192  # tokens asked for; a model that knows fewer gets what it knows
MAX_NEW = 400  # tokens of an explanation
MIN_NEW = 64  # tokens that must be left for it
TEMPLATE = "tokenizer.chat_template"


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
        """Yield pieces of text; one question at a time, `stop` looked at for each token.

        The loop is our own over `Llama.generate`: `create_chat_completion` turns all tokens so far into text for each
        new one. What the prompt shares with the one before stays in the KV cache.
        """
        with self._lock:
            if stop.is_set():
                return
            llama = self._loaded()
            tokens = self._tokens(llama, messages)
            text = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in several tokens
            try:
                for token in islice(llama.generate(tokens, temp=0.2, top_p=0.9), MAX_NEW):
                    if stop.is_set() or _ends(llama, token):
                        return
                    piece = text.decode(llama.detokenize([token], prev_tokens=tokens[-1:]))
                    if piece:
                        yield piece
            except (ValueError, RuntimeError) as fault:
                raise self._stopped(str(fault)) from fault

    def _tokens(self, llama: "Llama", messages: list[dict[str, str]]) -> list[int]:
        """Return the prompt as the file's own chat template writes it, in its own tokens.

        :raises ModelFailure: where it leaves no room for an answer.
        """
        written = _templated(llama, messages)
        tokens = llama.tokenize(written.encode(), add_bos=not llama.metadata.get(TEMPLATE), special=True)
        if len(tokens) + MIN_NEW > llama.n_ctx():
            raise self._stopped(f"the prompt has {len(tokens)} tokens, the context holds {llama.n_ctx()}")
        return tokens

    def _stopped(self, why: str) -> ModelFailure:
        return ModelFailure(
            f"{self.name} stopped ({why}).",
            "The card above holds without it; try a smaller model or a shorter question.",
        )

    def _loaded(self) -> "Llama":
        if self._llama is None:
            from llama_cpp import Llama

            try:
                self._llama = Llama(
                    str(self.file),
                    n_ctx=min(self._context, _trained_context(self.file)),
                    n_gpu_layers=-1 if gpu_offload() else 0,
                    verbose=False,
                )
            except (ValueError, RuntimeError, OSError, AssertionError) as fault:
                raise ModelFailure(
                    f"{self.file.name} cannot be loaded ({fault}).",
                    "It may be cut off, too new for this llama.cpp, or too large; the card holds without it.",
                ) from fault
        return self._llama


def _trained_context(file: Path) -> int:
    """Return how many tokens the model in `file` knows, from its header.

    :raises ValueError: where llama.cpp cannot read the header.
    """
    import llama_cpp
    from llama_cpp._logger import set_verbose

    set_verbose(False)  # as Llama(verbose=False) does, which comes only later
    wanted = llama_cpp.llama_model_default_params()
    wanted.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(file).encode(), wanted)
    if not model:
        raise ValueError("its header cannot be read")
    try:
        architecture = _header_value(model, "general.architecture")
        known = _header_value(model, f"{architecture}.context_length")
        return int(known) if known.isdecimal() else CONTEXT
    finally:
        llama_cpp.llama_model_free(model)


def _header_value(model: "llama_model_p", key: str) -> str:
    from ctypes import create_string_buffer

    from llama_cpp import llama_model_meta_val_str

    value = create_string_buffer(256)
    length = llama_model_meta_val_str(model, key.encode(), value, len(value))
    return value.value.decode("utf-8", "replace") if length >= 0 else ""


def _templated(llama: "Llama", messages: list[dict[str, str]]) -> str:
    """Return the messages as the file's chat template writes them; where it knows no system role, as one message."""
    from jinja2 import TemplateError
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    joined = [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]
    template = llama.metadata.get(TEMPLATE)
    if not template:
        return f"{joined[0]['content']}\n\n"
    formatter = Jinja2ChatFormatter(
        template, eos_token=_special(llama, llama.token_eos()), bos_token=_special(llama, llama.token_bos())
    )
    try:
        return str(formatter(messages=messages).prompt)  # type: ignore[arg-type]
    except (ValueError, TemplateError):
        return str(formatter(messages=joined).prompt)  # type: ignore[arg-type]


def _special(llama: "Llama", token: int) -> str:
    """Return how a special token is written; nothing where the file has none."""
    return llama.detokenize([token], special=True).decode("utf-8", "replace") if token >= 0 else ""


def _ends(llama: "Llama", token: int) -> bool:
    """Return whether `token` ends the turn: there may be several such tokens."""
    from llama_cpp import llama_vocab_is_eog

    return bool(llama_vocab_is_eog(llama._model.vocab, token))


def gpu_offload() -> bool:
    """Return whether llama.cpp was built with a GPU backend."""
    from llama_cpp import llama_supports_gpu_offload

    return bool(llama_supports_gpu_offload())
