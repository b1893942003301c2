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


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("Loading checkpoint shards:  38%|███▊      | 3/8 [00:02<00:03,  1.28it/s]Killed", "Killed"),
        ("config.json: 100% 661/661 [00:00<00:00, 4.02MB/s] KeyError: 'x'", "KeyError: 'x'"),
        ("     ━━━━━━━━━━━━━━━━━━━━╸━━━━━━ 878/878 kB 58.6 MB/s eta 0:00:00 ERROR: no space", "ERROR: no space"),
        ("pulling 60e05f210007...   0% ▕                ▏    0 B/4.7 GB Error: EOF", "Error: EOF"),
        ("model.gguf  45%[====>     ] 1.2G  12.3MB/s eta 5m30s Broken pipe", "Broken pipe"),
        ("Loading shards:   0% Completed | 0/4 [00:00<?, ?it/s] Killed", "Killed"),
        (
            "why does it hang at 38%|███▊      | 3/8 [00:02<00:03,  1.28it/s] for an hour",
            "why does it hang at  for an hour",
        ),
    ],
)
def test_of_a_line_with_a_progress_bar_what_stands_beside_it_is_kept(raw, left):
    assert [line.strip() for line in read(raw).lines] == [left]


@pytest.mark.parametrize(
    "text",
    [
        "my ssd reads 500 MB/s, why is loading slow?",
        "Why does ollama pull only reach 12 MB/s?",
        "eval speed 12.3 MB/s: torch.OutOfMemoryError: CUDA out of memory",
        "usage: 98% of 24 GB, then 3 GB/s over PCIe",
    ],
)
def test_a_line_with_a_speed_is_kept_whole(text):
    assert read(text).words == text


def test_where_only_a_progress_bar_was_pasted_its_name_is_searched_by():
    assert (
        "Loading checkpoint shards"
        in read("Loading checkpoint shards:  38%|███▊      | 3/8 [00:02<00:03,  1.28it/s]").words
    )


LONG_SHAPES = {
    "lines of ollama": 'time=2026-11-20T12:00:00.000+01:00 level=INFO source=server.go:{} msg="llama runner started" model=/root/.ollama/models/blobs/sha256-abc',
    "lines of vLLM": "INFO 11-20 12:00:00 [loggers.py:116] Engine 000: Avg prompt throughput: {}.0 tokens/s, GPU KV cache usage: 0.3%, Prefix cache hit rate: 0.0%",
    "lines of 250 characters": "lorem ipsum dolor " * 14 + "{}",
    "nvidia-smi": "| N/A   45C    P0    26W /  70W | {}MiB / 15360MiB |      0%      Default |",
    "gin": '[GIN] 2026/11/20 - 12:00:00 | 200 |  {}.1ms |       127.0.0.1 | POST     "/api/chat"',
    "system_info": "system_info: n_threads = {} | AVX = 1 | AVX2 = 1 | AVX512 = 0 | FMA = 1 | NEON = 0 | F16C = 1 | SSE3 = 1 |",
    "exceptions": "ValueError: bad value {}",
    "pipes": "aaaaa|" * 660 + "{}",
    "digits and a speed": "1" * 3900 + " B/s {}",
    "percentages": "100% " * 700 + "| {}",
    "short bars": "━━ " * 1200 + "{}",
    "long bars": "━━━ " * 950 + "step {}",
    "dashes": "-" * 3900 + "{}",
    "blanks": " " * 3900 + "{}",
    "parts of a path": "/a" * 1900 + "{}",
}


@pytest.mark.parametrize("shape", LONG_SHAPES.values(), ids=LONG_SHAPES.keys())
def test_many_lines_of_any_shape_hide_no_error(shape):
    lines = [shape.format(number) for number in range(300)]
    question = read("\n".join([*lines[:200], "RuntimeError: the one that matters", *lines[200:]]))
    assert len(question.lines) == 301
    assert "RuntimeError: the one that matters" in [question.lines[position] for position in question.errors]


@pytest.mark.parametrize("between", ["x" * 9 + " ", "all is well. ", "key: value; ", "a\\nb "])
def test_an_error_far_behind_in_one_long_line_is_found(between):
    text = (
        between * (30_000 // len(between))
        + "torch.OutOfMemoryError: CUDA out of memory. "
        + between * (30_000 // len(between))
    )
    assert "CUDA out of memory" in read(text).words and all(len(line) <= MAX_LINE for line in read(text).lines)


def test_line_ends_written_as_two_characters_end_lines_in_a_long_line():
    text = "{'log': '" + "step\\n" * 2_000 + "ValueError: boom\\nbye'}"
    assert "ValueError: boom" in read(text).lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cannot open /home/me/x.py now", "cannot open   now"),
        (r"cannot open C:\Users\Me\model.gguf now", "cannot open   now"),
        (r"cannot open C:\Users\Jo Doe\models\model.gguf now", "cannot open   now"),
        ("cannot read /srv/secret/x/ now", "cannot read   now"),
        ("an input/output error on 1/2/3, and/or n/a", "an input/output error on 1/2/3, and/or n/a"),
    ],
)
def test_paths_are_masked_to_their_last_letter(text, words):
    assert read(text).words == words


@pytest.mark.parametrize("control", ["\x9b31m", "\x85", "\u2066", "\u2069", "\u2060", "\u206f"])
def test_control_characters_of_every_range_are_taken_out(control):
    assert read(f"CUDA {control}error").text == "CUDA error"


def test_the_telling_line_of_a_described_pod_is_found():
    text = "Name:             llama-server\nContainers:\n  server:\n    State:          Waiting\n    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137\n      Started:      Tue\n    Limits:\n      memory:  32Gi\nEvents:  <none>"
    assert "OOMKilled" in read(text).words


def test_code_below_a_frame_is_no_error():
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in run\n    raise_if_failed(error)\nValueError: boom'
    question = read(text)
    assert [question.lines[position] for position in question.errors] == ["ValueError: boom"]


def test_of_a_long_telling_line_the_failure_is_searched_by():
    assert "CUDA out of memory" in read("step=1, done; " * 60 + "CUDA out of memory\n\none\ntwo\nthree\nfour").words


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
