import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.failures import BadInput
from rag.question import MAX_LINE, read


@pytest.mark.parametrize("text", ["", "   \n\t ", "🙂🙂🙂", "\x00\x01\x02", "!!! ??? ...", "\u200b\ufeff"])
def test_nothing_readable_is_refused_with_the_next_step(text):
    with pytest.raises(BadInput, match="Paste an error message"):
        read(text)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[31mRuntimeError: boom\x1b[0m", "RuntimeError: boom"),
        ("2026-11-20 12:00:00,123 - ERROR - no kernel image", "ERROR - no kernel image"),
        ("2026-11-20T12:00:00.123Z no kernel image", "no kernel image"),
        ("[rank0]: torch.OutOfMemoryError: boom", "torch.OutOfMemoryError: boom"),
        ("(EngineCore_DP0 pid=4711) ValueError: boom", "ValueError: boom"),
        ("Nov 20 12:00:00 host ollama[4711]: no compatible GPUs", "no compatible GPUs"),
        ("webui-1  | ConnectionError: boom", "ConnectionError: boom"),
        ("[12345.678901] NVRM: Xid", "NVRM: Xid"),
        ("ERROR 11-20 12:00:00 [core.py:1] boom", "11-20 12:00:00 [core.py:1] boom"),
    ],
)
def test_what_loggers_put_in_front_of_a_line_is_taken_off(raw, clean):
    assert read(f"{raw}\nand more words").lines[0] == clean


def test_progress_bars_and_overwritten_lines_are_dropped():
    text = "start\nLoading checkpoint shards:  10%|█         | 1/10\rLoading checkpoint shards: 100%|██████████| 10/10\nValueError: boom"
    assert read(text).lines == ("start", "ValueError: boom")


def test_the_first_exception_of_a_chain_comes_first():
    text = "\n".join(
        [
            "Traceback (most recent call last):",
            '  File "a.py", line 1, in <module>',
            "torch.OutOfMemoryError: CUDA out of memory.",
            "",
            "During handling of the above exception, another exception occurred:",
            "",
            "Traceback (most recent call last):",
            "RuntimeError: Engine core died",
        ]
    )
    question = read(text)
    assert question.lines[question.errors[0]].startswith("torch.OutOfMemoryError")


def test_paths_and_hashes_are_masked_in_what_is_searched_by():
    words = read("cannot open /home/joe/models/secret-project/model.gguf at 0x7ffdeadbeef, https://example.org/x").words
    assert "joe" not in words and "deadbeef" not in words and "example" not in words and "cannot open" in words


def test_hints_are_taken_from_the_text():
    hints = read("I use Ollama in Docker on Ubuntu with an RTX 3060").hints
    assert {"docker", "linux"} <= hints.platforms and hints.vendors == {"nvidia"} and hints.tools >= {"ollama"}


def test_a_question_is_no_log_and_a_traceback_is_one():
    assert not read("why is ollama slow?").is_log
    assert read('Traceback (most recent call last):\n  File "a.py", line 3\nValueError: x: [1] (2)').is_log


def test_five_megabytes_in_one_line_are_read():
    question = read("x" * 5_000_000 + " CUDA out of memory")
    assert all(len(line) <= MAX_LINE for line in question.lines)


def test_of_a_very_long_log_the_end_is_kept():
    text = (
        "\n".join(f"step {number} of many, nothing to see" for number in range(250_000))
        + "\nRuntimeError: the last line"
    )
    assert "RuntimeError: the last line" in read(text).words


def test_lone_surrogates_and_mixed_line_ends_are_read():
    assert read("a broken \udcff pipe\r\nsecond\rthird").lines


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        question = read(text)
    except BadInput:
        return
    assert question.lines and len(set(question.lines)) == len(question.lines)
    assert all(0 <= position < len(question.lines) for position in question.errors)


@given(
    st.lists(
        st.sampled_from(
            [
                "CUDA out of memory",
                "it cannot be",
                "could not load",
                "Not found",
                "no such file",
                "OOM",
                "too many",
                "fine",
                "can",
                "İstanbul",
            ]
        ),
        max_size=8,
    )
)
def test_the_fast_scan_finds_every_line_that_the_pattern_finds(lines):
    from rag.question import _FAILURE, _suspects

    assert {position for position, line in enumerate(lines) if _FAILURE.search(line)} <= set(_suspects(lines))
