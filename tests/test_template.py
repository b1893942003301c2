import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.template import HOLES, compile_template, literal_words


@pytest.mark.parametrize(
    ("template", "line", "values"),
    [
        ("Tried to allocate {size}", "CUDA out of memory. Tried to allocate 1.27 GiB (GPU 0", ("1.27 GiB",)),
        ("Tried to allocate {size}", "tried  to allocate 20.00 MiB.", ("20.00 MiB",)),
        ("expected '{name}' in {path}", "expected 'GGUF' in /tmp/a.gguf", ("GGUF", "/tmp/a.gguf")),
        ("driver version {version} is too old", "driver version 535.104.05 is too old", ("535.104.05",)),
        ("{pct}/{pct} CPU/GPU", "llama3  48%/52% CPU/GPU  4 minutes", ("48%", "52%")),
        ("magic {hex}, {any} end", "magic 0x67676d6c, whatever comes end", ("0x67676d6c", "whatever comes")),
    ],
)
def test_a_template_finds_its_message_and_the_values_in_it(template, line, values):
    found = compile_template(template).search(line)
    assert found and found.groups() == values


def test_a_template_does_not_match_inside_longer_words():
    assert compile_template("killed").search("it was unkilled") is None
    assert compile_template("killed").search("Killed")


@pytest.mark.parametrize(("template", "why"), [("{nonsense} word", "unknown hole"), ("{n} {n}", "literal word")])
def test_a_template_that_cannot_work_is_refused(template, why):
    with pytest.raises(ValueError, match=why):
        compile_template(template)


def test_words_that_touch_a_hole_are_no_anchors():
    assert literal_words("GPU{n} and memory") == ["and", "memory"]


@given(
    st.lists(
        st.sampled_from([*(f"{{{hole}}}" for hole in HOLES), "out of memory", "(a+b)", "[x]", "c:\\d", "50%"]),
        min_size=1,
    )
)
def test_any_template_compiles_or_is_refused_in_words(pieces):
    template = " ".join(pieces)
    try:
        compile_template(template)
    except ValueError as fault:
        assert "literal word" in str(fault)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (r"failed to open C:\Users\John Doe\my models\a.gguf: No such file", r"C:\Users\John Doe\my models\a.gguf"),
        ("failed to open /Users/ada/My Models/a.gguf: No such file", "/Users/ada/My Models/a.gguf"),
        ("failed to open models/a.gguf: No such file", "models/a.gguf"),
        ("failed to open 'my models/a.gguf': No such file", "'my models/a.gguf'"),
    ],
)
def test_a_path_may_hold_blanks(line, path):
    found = compile_template("failed to open {path}: No such file").search(line)
    assert found and found.group(1) == path
