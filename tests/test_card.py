from dataclasses import replace

from rag.card import compose, entry_card, shown
from rag.decide import decide
from rag.question import read
from rag.retrieve import retrieve


def card_for(text, generation, encoder):
    question = read(text)
    matches = retrieve(question, generation, encoder)
    return compose(decide(question, matches, generation), question, matches, generation)


def test_every_number_on_a_card_cites_the_very_words_it_stands_behind(kettles, encoder):
    card, citations = card_for("LeakWarning: 12 ml lost", kettles, encoder)
    by_number = {citation.n: citation for citation in citations}
    items = [*card.lead, *(item for block in card.blocks for item in block.items)]
    assert items
    for item in items:
        citation = by_number[item.n]
        assert shown(citation.quote) == item.markdown
        assert kettles.entries[citation.entry].text[citation.start : citation.end] == citation.quote
        assert citation.quote in citation.passage
    assert sorted(by_number) == list(range(1, len(by_number) + 1))


def test_sources_of_a_citation_are_those_of_its_footnotes(kettles):
    answer = entry_card("kettle-will-not-boil", kettles)
    dark = next(citation for citation in answer.citations if "lamp on the socket" in citation.quote)
    assert [source.url for source in dark.sources] == ["https://example.org/answer"]


def test_causes_come_in_order_and_those_of_other_platforms_are_left_out(kettles, encoder):
    card, _ = card_for("kettle stays cold", kettles, encoder)
    assert [block.title for block in card.blocks if block.kind == "cause"] == [
        "The fuse is blown",
        "The socket is switched off",
    ]
    card, _ = card_for("kettle stays cold on linux", kettles, encoder)
    assert [block.title for block in card.blocks if block.kind == "cause"] == ["The fuse is blown"] and card.others == 1


def test_a_cause_tagged_with_what_the_person_has_comes_first(kettles, encoder):
    card, _ = card_for("kettle stays cold on windows", kettles, encoder)
    assert next(block.title for block in card.blocks if block.kind == "cause") == "The socket is switched off"


def test_the_line_that_decided_is_on_the_card(kettles, encoder):
    card, _ = card_for("noise\n2026-11-20 12:00:00 LeakWarning: 12 ml lost\nmore noise", kettles, encoder)
    assert card.line == "LeakWarning: 12 ml lost"


def test_a_fork_says_what_all_share_and_what_tells_the_options_apart(kettles, encoder):
    card, citations = card_for("KettleError: heater 1 did not reach 95 GB", kettles, encoder)
    assert [block.title for block in card.blocks] == ["No, it is dry", "Yes, a puddle"]
    assert card.lead[0].markdown == "The heater gave up before the water was hot."
    assert {citation.entry for citation in citations} == {"kettle-error", "kettle-will-not-boil", "kettle-leaks"}


def test_an_abstention_names_the_nearest_and_claims_nothing(kettles, encoder):
    card, _ = card_for("how do I make lasagna with spinach", kettles, encoder)
    assert card.title.startswith("Nothing in the knowledge base") and card.lead == () and len(card.blocks) <= 3


def test_code_and_line_breaks_reach_the_card_unchanged(kettles):
    items = [item for block in entry_card("kettle-will-not-boil", kettles).card.blocks for item in block.items]
    assert any("```bash\nkettle reset --heater 1\n```" in item.markdown for item in items)


def test_a_statement_without_a_footnote_has_the_sources_of_its_section(kettles):
    answer = entry_card("kettle-will-not-boil", kettles)
    wait = next(citation for citation in answer.citations if citation.quote == "Wait five minutes.")
    summary = next(citation for citation in answer.citations if citation.section == "Summary")
    own = next(citation for citation in answer.citations if "fuse: open" in citation.quote)
    assert [source.url for source in wait.sources] == ["https://example.org/manual"] and not wait.direct
    assert [source.url for source in summary.sources] == ["https://example.org/manual"] and not summary.direct
    assert own.direct


def test_a_card_leads_on_to_what_its_entry_names(kettles):
    error = entry_card("kettle-will-not-boil", kettles).card
    assert [links.label for links in error.links] == ["Related", "Terms"]
    assert error.links[0].entries == ((kettles.entries["kettle-leaks"].title,) * 2,)
    term = kettles.entries["heater"]
    assert error.links[1].entries == ((term.title, f"What is {term.title}?"),)
    assert [links.label for links in entry_card("heater", kettles).card.links][0] == "When it does not work"


def test_a_link_to_an_entry_that_is_not_there_is_left_out(kettles):
    entries = {key: entry for key, entry in kettles.entries.items() if key not in ("kettle-leaks", "kettle-error")}
    card = entry_card("kettle-will-not-boil", replace(kettles, entries=entries)).card
    assert [links.label for links in card.links] == ["Terms"]
