import pytest

from index.names import Names
from kb.entry import name_words
from kb.read import BUILT_IN, read_knowledge


def test_a_name_is_found_in_a_sentence_whatever_its_case_and_number(kettle):
    names = Names(read_knowledge(kettle).entries.values())
    assert [hit.entry for hit in names.find("what are Heating-Elements?")] == ["heater"]
    assert names.find("what is love?") == []


def test_a_longer_name_hides_the_shorter_inside_it(kettle):
    names = Names(read_knowledge(kettle).entries.values())
    assert {hit.entry for hit in names.find("water under the kettle")} == {"kettle-leaks"}


def test_every_term_is_found_by_its_own_name():
    knowledge = read_knowledge(BUILT_IN)
    names = Names(knowledge.entries.values())
    for entry in knowledge.terms:
        assert entry.id in {hit.entry for hit in names.find(f"what is {entry.title}?")}, entry.title


def test_normalising_drops_punctuation_and_plurals():
    assert name_words("KV-caches, GPUs & 'class'!") == ("kv", "cache", "gpu", "class")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("--keep", "how do I keep it short", False),
        ("--keep", "what does --keep do", True),
        ("TOPS", "on top of that", False),
        ("TOPS", "how many TOPS has it", True),
        ("GPU", "two GPUs", True),
        ("llama.cpp", "llama cpp is slow", True),
    ],
)
def test_a_flag_is_no_everyday_word(kettle, name, text, found):
    path = kettle / "glossary" / "heater.md"
    path.write_text(path.read_text().replace('"--heater"', f'"{name}"'))
    hits = Names(read_knowledge(kettle).entries.values()).find(text)
    assert bool(hits) == found
