import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.cut import cut
from kb.read import BUILT_IN, read_entry, read_knowledge


class Counting:
    """A window of so many words; encodes nothing."""

    identity = "counting"

    def __init__(self, window):
        self.window = window

    def count_tokens(self, text):
        return len(text.split())


@pytest.mark.parametrize("window", [12, 40, 256])
def test_passages_are_spans_that_lose_no_statement(window):
    for entry in read_knowledge(BUILT_IN).entries.values():
        passages = cut(entry, Counting(window))
        for passage in passages:
            assert entry.text[passage.start : passage.end] == passage.text
        for statement in entry.statements:
            pieces = [passage for passage in passages if passage.section == statement.section]
            covered = {place for piece in pieces for place in range(piece.start, piece.end)}
            lost = [place for place in range(statement.start, statement.end) if place not in covered]
            assert not "".join(entry.text[place] for place in lost).strip(), f"{entry.id}: {statement.text}"


def test_only_code_tables_and_steps_are_longer_than_the_window():
    for entry in read_knowledge(BUILT_IN).entries.values():
        for passage in cut(entry, Counting(60)):
            if len(f"{passage.context} {passage.text}".split()) > 62 and passage.section != "Names":
                whole = [
                    statement
                    for statement in entry.statements
                    if statement.start >= passage.start and statement.end <= passage.end
                ]
                assert all("```" in one.text or one.step or "\n|" in one.text for one in whole) or one_sentence(
                    passage.text
                )


def one_sentence(text):
    return not re.search(r"[.!?](\[\^[\w.-]+\])*\s+\S", text)


def test_a_code_block_is_never_split(kettle):
    entry = read_entry(kettle / "errors" / "kettle-will-not-boil.md")
    for passage in cut(entry, Counting(8)):
        assert passage.text.count("```") % 2 == 0


def test_the_title_and_each_alias_are_passages_of_their_own(kettle):
    entry = read_entry(kettle / "glossary" / "heater.md")
    names = [passage.text for passage in cut(entry, Counting(60)) if passage.section == "Names"]
    assert names == ["Heater", "heating element", "--heater"]


@given(st.integers(min_value=4, max_value=200))
def test_the_same_entry_is_always_cut_the_same(window):
    entry = read_entry(BUILT_IN / "errors" / "ollama-runs-on-cpu.md")
    assert cut(entry, Counting(window)) == cut(entry, Counting(window))
