import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.numbers import in_gib, sentences, to_bytes

TORCH_2 = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.27 GiB. GPU 0 has a total capacity of 12.00 GiB of which 276.00 MiB is free. "
    "Process 4711 has 3.50 GiB memory in use. Of the allocated memory 7.90 GiB is allocated by PyTorch, and 210.00 MiB is reserved by PyTorch but unallocated."
)
TORCH_1 = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 11.17 GiB total capacity; 9.00 GiB already allocated; 1.00 GiB free; 9.50 GiB reserved in total by PyTorch)"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (TORCH_2, "Asked for 1.27 GiB with 276.00 MiB free of 12.00 GiB on GPU 0: 1.00 GiB is missing."),
        (TORCH_2, "Process 4711 holds 3.50 GiB on the card."),
        (TORCH_2, "PyTorch holds 7.90 GiB in use and another 210.00 MiB reserved but unused."),
        (TORCH_1, "Asked for 2.00 GiB with 1.00 GiB free of 11.17 GiB on GPU 0: 1.00 GiB is missing."),
        ("Error: model requires more system memory (11.5 GiB) than is available (7.8 GiB)", "The model needs 11.5 GiB of system memory with 7.8 GiB available: 3.70 GiB is missing."),
        ("ValueError: Requested tokens (2500) exceed context window of 2048", "The prompt has 2500 tokens, the context window holds 2048: 452 too many."),
        ("ValueError: Requested tokens (2,500) exceed context window of 2,048", "The prompt has 2,500 tokens, the context window holds 2,048: 452 too many."),
        ("CUDA out of memory. Tried to allocate 1,024 MiB", "Asked for 1,024 MiB."),
        ("Error: model requires more system memory (2,048 MiB) than is available (1,024 MiB)", "The model needs 2,048 MiB of system memory with 1,024 MiB available: 1.00 GiB is missing."),
    ],
)  # fmt: skip
def test_the_numbers_of_a_message_are_told_in_a_sentence(line, told):
    assert told in sentences([line], 0)


def test_a_message_that_was_wrapped_is_told_whole():
    wrapped = [TORCH_2[:90], TORCH_2[90:180], TORCH_2[180:]]
    assert sentences(wrapped, 0)[0].startswith("Asked for 1.27 GiB with 276.00 MiB free")


@pytest.mark.parametrize("columns", [40, 60, 72, 100])
@pytest.mark.parametrize("message", [TORCH_1, TORCH_2])
def test_a_message_that_was_wrapped_at_any_width_is_told_whole(message, columns):
    cut = [message[start : start + columns].rstrip() for start in range(0, len(message), columns)]
    assert sentences(cut, 0)[0] == sentences([message], 0)[0]
    assert sentences(textwrap.wrap(message, columns), 0)[0] == sentences([message], 0)[0]


@pytest.mark.parametrize("between", [[], ["CUDA kernel errors might be asynchronously reported at some other call."]])
@pytest.mark.parametrize("second", [TORCH_2, TORCH_2.removeprefix("torch.OutOfMemoryError: ")])
def test_the_numbers_of_another_message_below_are_not_told(between, second):
    first = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    assert sentences([first, *between, second], 0) == []


def test_other_lines_tell_nothing():
    assert sentences(["KeyError: 'model'"], 0) == []


def test_gib_and_gb_are_kept_apart():
    assert to_bytes("1 GiB") == 2**30 and to_bytes("1 GB") == 10**9 and to_bytes("512MB") == 512 * 10**6
    assert to_bytes("1,024 MiB") == 2**30
    with pytest.raises(ValueError, match="no size"):
        to_bytes("big")


@given(st.floats(min_value=0.1, max_value=9999).map(lambda value: round(value, 2)))
def test_gibibytes_survive_the_round_trip(value):
    assert in_gib(to_bytes(f"{value} GiB")) == f"{value:.2f} GiB"
