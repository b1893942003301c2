from datetime import date

import pytest

from kb.check import check
from kb.failures import BadInput
from kb.read import read_entry, read_knowledge
from kb.skeleton import write_skeleton

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize("kind", ["error", "glossary"])
def test_a_skeleton_passes_the_reader_and_the_check_names_what_is_to_be_written(tmp_path, kind):
    file = write_skeleton(kind, 'Ünknown: "card" #3', tmp_path, TODAY)
    entry = read_entry(file)
    assert entry.id == "nknown-card-3" and entry.title == 'Ünknown: "card" #3' and entry.verified == TODAY
    problems = check(read_knowledge(tmp_path), TODAY)
    assert problems and all("TBD" in problem.message for problem in problems), problems


def test_a_skeleton_filled_in_has_no_problems(tmp_path):
    file = write_skeleton("error", "hot-card", tmp_path, TODAY)
    file.write_text(file.read_text().replace("TBD ", ""))
    assert check(read_knowledge(tmp_path), TODAY) == []
    assert read_entry(file).title == "Hot card"


def test_nothing_is_written_over(tmp_path):
    file = write_skeleton("error", "hot-card", tmp_path, TODAY)
    file.write_text("mine")
    with pytest.raises(BadInput, match="exists"):
        write_skeleton("error", "Hot card", tmp_path, TODAY)
    assert file.read_text() == "mine"


def test_a_name_of_signs_alone_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no letter or digit"):
        write_skeleton("error", "?!", tmp_path, TODAY)
