"""Retrieval and decision on the small knowledge base, where everything can be seen at a glance."""

from dataclasses import replace

import pytest

from index import generation as store
from index.build import build
from rag.decide import ENOUGH, confidence, decide
from rag.question import read
from rag.retrieve import Match, agreement, retrieve
from tests.conftest import silent


def verdict(text, generation, encoder):
    question = read(text)
    return decide(question, retrieve(question, generation, encoder), generation)


def test_a_signature_decides(kettles, encoder):
    found = verdict("blah\nLeakWarning: 12 ml lost\nblah", kettles, encoder)
    assert (found.decision, found.entry.id) == ("answer", "kettle-leaks")
    assert found.match.signature.values == ("12",)


def test_where_a_signature_decides_the_embedder_is_not_asked(kettles, encoder):
    encoder.encoded.clear()
    verdict("LeakWarning: 12 ml lost", kettles, encoder)
    assert encoder.encoded == []


def test_a_shared_signature_asks_the_forks_question(kettles, encoder):
    found = verdict("KettleError: heater 1 did not reach 95 GB", kettles, encoder)
    assert (found.decision, found.fork.id) == ("ask", "kettle-error")


@pytest.mark.parametrize(
    ("clue", "entry"), [("fuse: open", "kettle-will-not-boil"), ("12 ml lost in total", "kettle-leaks")]
)
def test_a_clue_in_the_log_passes_the_fork(kettles, encoder, clue, entry):
    found = verdict(f"KettleError: heater 1 did not reach 95 GB\n{clue}", kettles, encoder)
    assert (found.decision, found.entry.id) == ("answer", entry)


def test_what_is_not_ours_is_not_answered(kettles, encoder):
    assert verdict("how do I make lasagna with spinach", kettles, encoder).decision == "abstain"


def test_the_name_of_a_term_finds_the_term(kettles, encoder):
    found = verdict("what is a thermostat?", kettles, encoder)
    assert (found.decision, found.entry.id) == ("answer", "thermostat")


def test_a_match_that_only_the_words_have_is_among_the_first_three(kettles, encoder):
    """A channel that is silent must not bury what another has first."""
    question = read("K-77")
    assert "kettle-leaks" in [match.entry for match in retrieve(question, kettles, encoder)][:3]


def test_a_corrected_word_finds_the_entry_and_counts_partly_as_unknown(kettles, encoder):
    right, wrong = (retrieve(read(f"what is a {word}"), kettles, encoder)[0] for word in ("thermostat", "thermostta"))
    assert right.entry == wrong.entry == "thermostat"
    assert 0.5 < wrong.coverage < right.coverage


def test_each_entry_comes_once(kettles, encoder):
    entries = [match.entry for match in retrieve(read("kettle heater puddle boil"), kettles, encoder)]
    assert len(entries) == len(set(entries))


def test_confidence_grows_with_every_channel():
    asked, weak = read("a question of some words"), Match("x", coverage=0.2, vectors=0.3)
    assert confidence(asked, [weak]) < ENOUGH
    for channel in ("name", "coverage", "vectors"):
        assert confidence(asked, [replace(weak, **{channel: 0.9})]) > confidence(asked, [weak])
    assert confidence(asked, [weak, weak]) < confidence(asked, [weak])


def test_hints_speak_for_and_against(kettles):
    entry = kettles.entries["kettle-will-not-boil"]
    assert (
        agreement(entry, read("on Windows the kettle is cold").hints)
        > 0
        > agreement(entry, read("my MacBook is hot").hints)
    )


def test_an_edited_entry_changes_the_answer(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    file = kettle / "errors" / "kettle-leaks.md"
    file.write_text(file.read_text().replace("LeakWarning: {n} ml lost", "DripAlarm: {n} drops"))
    generation = store.load(build([kettle], tmp_path, encoder, silent).generation)
    assert verdict("DripAlarm: 9 drops", generation, encoder).entry.id == "kettle-leaks"
