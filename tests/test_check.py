from datetime import date

import pytest

from kb.check import check
from kb.read import BUILT_IN, read_knowledge

TODAY = date(2026, 11, 21)


def test_the_knowledge_base_has_no_problems():
    assert [str(problem) for problem in check(read_knowledge(BUILT_IN), TODAY)] == []


def test_the_small_knowledge_base_has_no_problems(kettle):
    assert check(read_knowledge(kettle), TODAY) == []


RULES = {
    "a link to nothing": ("kettle-will-not-boil.md", "related: [kettle-leaks]", "related: [kettle-lost]", "there is no entry kettle-lost"),
    "a link to the wrong kind": ("kettle-will-not-boil.md", "terms: [heater]", "terms: [kettle-leaks]", "there is no glossary term"),
    "a link to itself": ("kettle-will-not-boil.md", "related: [kettle-leaks]", "related: [kettle-will-not-boil]", "names itself"),
    "a footnote without source": ("kettle-leaks.md", "dry.[^manual]", "dry.[^book]", "footnote [^book] has no source"),
    "a source without footnote": ("kettle-leaks.md", "\nverified", '\n  book: {title: "Book", url: "https://example.org/b", read: 2026-11-20}\nverified', "source book is never cited"),
    "a cause without Tell": ("kettle-leaks.md", "**Tell:** there is a puddle below the kettle after an hour.[^manual]\n", "", "has no Tell"),
    "a Fix without source": ("kettle-leaks.md", "screw it in.[^manual]", "screw it in.", "the Fix of 'The seal is worn' has no source"),
    "a command without source": ("kettle-will-not-boil.md", "Wait five minutes.", "Run `kettle explode --now`.", "`kettle explode --now` in a fix has no source"),
    "an alias of two entries": ("kettle-leaks.md", "[water under", "[Kettle Stays Cold, water under", "is also a name of"),
    "a renamed command": ("kettle-leaks.md", "Order part `K-77`", "Order part `./main -m x`", "./main is called llama-cli now"),
    "a summary that is too long": ("kettle-leaks.md", "summary: Water", "summary: " + "Water " * 50, "characters long"),
    "an entry nobody verified for a year": ("kettle-leaks.md", "verified: 2026", "verified: 2024", "more than a year ago"),
    "an entry verified in the future": ("kettle-leaks.md", "verified: 2026-11-20", "verified: 2026-12-24", "still to come"),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_each_rule_reports_what_it_forbids(kettle, name):
    file, old, new, message = RULES[name]
    path = kettle / "errors" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    problems = check(read_knowledge(kettle), TODAY)
    assert any(message in problem.message for problem in problems), problems
    assert all(problem.line > 0 for problem in problems)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("related: [kettle-leaks]", "related: []", "no other entry leads to it"),
        ("related: [kettle-leaks]", "related: []", "leads on to no other entry by related"),
        ("terms: [heater]", "terms: []", "leads on to no other entry by terms"),
    ],
)
def test_no_built_in_entry_is_an_island(kettle, monkeypatch, old, new, message):
    monkeypatch.setattr("kb.check.BUILT_IN", kettle)
    before = {problem.message for problem in check(read_knowledge(kettle), TODAY)}
    path = kettle / "errors" / "kettle-will-not-boil.md"
    (kettle / "forks" / "kettle-error.yaml").unlink()
    path.write_text(path.read_text().replace(old, new, 1).replace("KettleError: heater", "KettleFault: heater"))
    after = {problem.message for problem in check(read_knowledge(kettle), TODAY)}
    assert message in after - before


def test_a_signature_of_two_entries_needs_a_fork(kettle):
    (kettle / "forks" / "kettle-error.yaml").unlink()
    assert any("no fork decides" in problem.message for problem in check(read_knowledge(kettle), TODAY))


def test_a_clue_that_stands_in_the_forks_own_message_is_a_problem(kettle):
    path = kettle / "errors" / "kettle-will-not-boil.md"
    path.write_text(path.read_text().replace('clues: ["fuse"]', 'clues: ["did not reach"]'))
    assert any("stands in the message of" in problem.message for problem in check(read_knowledge(kettle), TODAY))
