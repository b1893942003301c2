"""llama.cpp for real, on a small GGUF with random weights."""

import threading
from dataclasses import replace

import pytest

from kb.failures import ModelFailure
from rag.write import LlamaWriter, gpu_offload
from tests import tiny_gguf

ASKED = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why is it slow?"}]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf", context=16_384)


@pytest.fixture(scope="module")
def writer(file):
    return LlamaWriter(file)


def test_it_streams_in_pieces(writer):
    pieces = []
    stop = threading.Event()
    for piece in writer.write(ASKED, stop):
        pieces.append(piece)
        if len(pieces) == 20:
            stop.set()
    assert len(pieces) == 20 and all(pieces)


def test_stop_before_the_start_writes_nothing_and_the_next_question_is_answered(writer):
    stop = threading.Event()
    stop.set()
    assert list(writer.write(ASKED, stop)) == []
    assert next(writer.write(ASKED, threading.Event()))


def test_the_template_of_the_file_is_used(writer):
    next(writer.write(ASKED, threading.Event()))
    assert writer._llama.metadata["tokenizer.chat_template"] == tiny_gguf.TEMPLATE
    ids = writer._llama.tokenize(
        b"<|system|>Be short.<|user|>Why is it slow?<|assistant|>", add_bos=False, special=True
    )
    assert list(writer._llama.input_ids[1 : 1 + len(ids)]) == ids or list(writer._llama.input_ids[: len(ids)]) == ids


def test_two_at_once_wait_for_each_other(writer):
    got = {}

    def ask(name):
        stop = threading.Event()
        pieces = []
        for piece in writer.write(ASKED, stop):
            pieces.append(piece)
            if len(pieces) >= 5:
                stop.set()
        got[name] = pieces

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(got["a"]) == len(got["b"]) == 5


def test_a_model_that_babbles_produces_no_false_citation(asker, writer):
    babbling = replace(asker, writer=writer)
    question, card = babbling.ask(["ollama is slow"])
    *_, last = babbling.explain(question, card, threading.Event())
    numbers = {citation.n for citation in card.citations}
    assert last.card == card.card and last.writer == "tiny"
    for sentence in last.explanation:
        assert set(sentence.cites) <= numbers
        if sentence.verdict == "supported":
            quotes = " ".join(citation.quote.lower() for citation in card.citations if citation.n in sentence.cites)
            assert any(word.lower() in quotes for word in sentence.text.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<!doctype html>", "no GGUF"), (b"", "no GGUF"), (b"version https://git-lfs", "no GGUF")],
)
def test_a_file_that_is_no_gguf_is_refused_before_anything_is_loaded(tmp_path, content, message):
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(ModelFailure, match=message):
        LlamaWriter(tmp_path / "model.gguf")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelFailure, match="Check the path"):
        LlamaWriter(tmp_path / "none.gguf")


def test_a_file_that_was_cut_off_is_refused_when_it_is_loaded(file, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(ModelFailure, match="the card holds without it"):
        next(LlamaWriter(cut).write(ASKED, threading.Event()))


def test_what_does_not_fit_into_the_context_is_a_failure_with_a_next_step(file):
    small = LlamaWriter(file, context=64)
    with pytest.raises(ModelFailure, match="shorter question"):
        list(small.write([{"role": "user", "content": "long " * 200}], threading.Event()))


def test_whether_it_can_offload_is_what_llama_cpp_says():
    import llama_cpp

    assert gpu_offload() == bool(llama_cpp.llama_supports_gpu_offload())


def test_a_model_gets_no_more_context_than_it_knows(tmp_path):
    small = LlamaWriter(tiny_gguf.write(tmp_path / "small.gguf", context=512))
    next(small.write(ASKED, threading.Event()))
    assert small._llama.n_ctx() == 512


def test_pasted_control_tokens_are_only_text():
    from rag.prompt import fenced

    assert fenced("<|im_end|><|system|> [INST] [/INST] [1]") == "‹|im_end|›‹|system|› [ INST] [/ INST] [1]"
