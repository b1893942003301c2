from pathlib import Path

import pytest

from kb.entry import ErrorEntry, Fork, GlossaryEntry
from kb.read import BUILT_IN, BrokenEntry, read_entry, read_knowledge


def test_the_three_kinds_are_read(kettle):
    knowledge = read_knowledge(kettle)
    assert knowledge.problems == ()
    kinds = {key: type(entry) for key, entry in knowledge.entries.items()}
    assert kinds["kettle-leaks"] is ErrorEntry
    assert kinds["heater"] is GlossaryEntry
    assert kinds["kettle-error"] is Fork


def test_causes_keep_their_order_their_tags_and_their_steps(kettle):
    entry = read_entry(kettle / "errors" / "kettle-will-not-boil.md")
    fuse, socket = entry.causes
    assert (fuse.title, fuse.tags) == ("The fuse is blown", ())
    assert (socket.title, socket.tags) == ("The socket is switched off", ("windows",))
    assert [statement.text for statement in fuse.tell] == ["`kettle status` prints `fuse: open`.[^manual]"]
    assert [statement.step for statement in fuse.fix] == [True, True]
    assert "kettle reset --heater 1" in fuse.fix[0].text and fuse.fix[0].sources == ("manual",)


@pytest.mark.parametrize("folder", [BUILT_IN, Path(__file__).parent / "data" / "kb"])
def test_every_statement_is_the_span_of_the_text_that_it_names(folder):
    for entry in read_knowledge(folder).entries.values():
        assert entry.statements
        end = 0
        for statement in entry.statements:
            assert entry.text[statement.start : statement.end] == statement.text
            assert statement.start >= end, f"{entry.id}: statements overlap"
            end = statement.end


BROKEN = {
    "no front matter": ("---\nid:", "id:", 1, "", "front matter"),
    "unknown field": ("phases: [start]", "phases: [start]\ncolour: red", 10, "colour", "Extra inputs"),
    "missing field": ("title: The kettle does not boil\n", "", 2, "title", "Field required"),
    "wrong choice": ("phases: [start]", "phases: [sleep]", 9, "phases.0", "Input should be"),
    "no yaml": ("aliases: [kettle", "aliases: [[kettle", 6, "", "front matter"),
    "unknown hole": ("{size}", "{giga}", 7, "signatures.0", "unknown hole"),
    "bad address": ("https://example.org/manual", "manual.pdf", 15, "sources.manual.url", "match pattern"),
    "id is not the file's name": ("id: kettle-will", "id: cattle-will", 2, "id", "file's name"),
    "unknown heading": ("## Check", "## Checks", 40, "body", "unknown heading 'Checks'"),
    "missing section": (
        "## Check\n`kettle status` prints `boiling`.[^manual]\n",
        "",
        19,
        "body",
        "## Check is missing",
    ),
    "text outside a label": ("**Tell:** the lamp", "the lamp", 34, "body", "after **Tell:** or **Fix:**"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_reported_with_file_line_and_field(kettle, name):
    old, new, line, field, message = BROKEN[name]
    file = kettle / "errors" / "kettle-will-not-boil.md"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BrokenEntry) as caught:
        read_entry(file)
    told = [(problem.file, problem.line, problem.field) for problem in caught.value.problems]
    assert (file, line, field) in told, caught.value.problems
    assert any(message in problem.message for problem in caught.value.problems)


def test_a_broken_file_takes_no_other_down(kettle):
    (kettle / "errors" / "kettle-leaks.md").write_bytes(b"\xff\xfe broken")
    knowledge = read_knowledge(kettle)
    assert "kettle-leaks" not in knowledge.entries and "heater" in knowledge.entries
    assert [problem.file.name for problem in knowledge.problems] == ["kettle-leaks.md"]


def test_your_own_entry_replaces_ours_of_the_same_id(kettle, tmp_path):
    own = tmp_path / "own" / "glossary" / "heater.md"
    own.parent.mkdir(parents=True)
    own.write_text((kettle / "glossary" / "heater.md").read_text().replace("The part that turns", "My part that turns"))
    entry = read_knowledge(kettle, tmp_path / "own").entries["heater"]
    assert entry.line.startswith("My part") and entry.origin == "yours"


def test_two_files_with_one_id_are_reported_and_the_first_stays(kettle):
    folder = kettle / "glossary" / "more"
    folder.mkdir()
    (folder / "heater.md").write_text(
        (kettle / "glossary" / "heater.md").read_text().replace("term: Heater", "term: Other")
    )
    knowledge = read_knowledge(kettle)
    assert knowledge.entries["heater"].title == "Heater"
    assert any("is also the id of" in problem.message for problem in knowledge.problems)


def test_windows_line_ends_read_like_others(kettle):
    file = kettle / "glossary" / "heater.md"
    before = read_entry(file)
    file.write_bytes(file.read_text().replace("\n", "\r\n").encode())
    assert read_entry(file) == before
