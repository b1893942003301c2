import dataclasses
import os

import pytest
from filelock import FileLock

from index import generation as store
from index.build import build
from kb.failures import BadKnowledge, IndexBusy, IndexFailure
from tests.conftest import WordEncoder, silent
from ui.cli import main
from ui.settings import Settings, from_environment
from ui.start import Oomph, Serving


@dataclasses.dataclass(frozen=True)
class KettleSettings(Settings):
    """Settings whose only entries are the person's own."""

    @property
    def folders(self):
        return [self.library]


@pytest.fixture
def settings(kettle):
    plain = from_environment(os.environ)
    kettle.rename(plain.home.parent / "moved")
    plain.home.mkdir()
    (plain.home.parent / "moved").rename(plain.library)
    return KettleSettings(**{field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)})


def rename(settings, title):
    file = settings.library / "errors" / "kettle-leaks.md"
    lines = file.read_text().split("\n")
    lines[2] = f"title: {title}"
    file.write_text("\n".join(lines))


def title(oomph):
    return oomph.serving().entries["kettle-leaks"].title


def damage(folder):
    (folder / "vectors.faiss").write_bytes(b"broken")


def test_while_another_indexes_the_last_good_index_answers_and_says_so(settings, encoder):
    oomph = Oomph(settings, encoder)
    assert oomph.index_if_stale(silent) and oomph.index_notice == ""
    rename(settings, "The kettle drips")
    with FileLock(settings.home / "index" / "build.lock"):
        assert not oomph.index_if_stale(silent)
        assert title(oomph) == "The kettle leaks" and "Another process is indexing" in oomph.index_notice
    assert oomph.index_if_stale(silent)
    assert title(oomph) == "The kettle drips" and oomph.index_notice == ""


def test_while_another_indexes_and_nothing_is_there_the_question_is_refused(settings, encoder):
    (settings.home / "index").mkdir()
    with FileLock(settings.home / "index" / "build.lock"), pytest.raises(IndexBusy):
        Oomph(settings, encoder).index_if_stale(silent)


def test_an_index_of_another_embedder_never_answers(settings, encoder):
    Oomph(settings, encoder).index_if_stale(silent)
    other = WordEncoder()
    other.identity = "another"
    with FileLock(settings.home / "index" / "build.lock"), pytest.raises(IndexBusy):
        Oomph(settings, other).index_if_stale(silent)
    with pytest.raises(IndexFailure, match="another embedder"):
        Serving(settings.home, "another")()


def test_when_no_entry_can_be_read_the_last_good_index_answers_and_says_so(settings, encoder):
    Oomph(settings, encoder).index_if_stale(silent)
    settings.library.rename(settings.home / "elsewhere")
    oomph = Oomph(settings, encoder)
    assert not oomph.index_if_stale(silent)
    assert title(oomph) == "The kettle leaks" and "No entry could be read" in oomph.index_notice


def test_with_neither_entries_nor_index_that_is_said(settings, encoder):
    settings.library.rename(settings.home / "elsewhere")
    with pytest.raises(BadKnowledge):
        Oomph(settings, encoder).index_if_stale(silent)


def test_a_damaged_index_is_built_again_although_an_older_one_is_good(settings, encoder):
    Oomph(settings, encoder).index_if_stale(silent)
    rename(settings, "The kettle drips")
    Oomph(settings, encoder).index_if_stale(silent)
    damage(store.current(settings.home))
    oomph = Oomph(settings, encoder)
    assert oomph.index_if_stale(silent)
    assert title(oomph) == "The kettle drips" and oomph.serving.failure is None


def test_an_older_index_that_serves_says_why_and_the_damaged_one_is_not_read_again(settings, encoder):
    oomph = Oomph(settings, encoder)
    oomph.index(silent)
    rename(settings, "The kettle drips")
    newer = build(settings.folders, settings.home, encoder, silent).generation
    whole = (newer / "vectors.faiss").read_bytes()
    damage(newer)
    assert title(oomph) == "The kettle leaks"
    assert "damaged" in str(oomph.serving.failure) and newer.name in str(oomph.serving.failure)
    (newer / "vectors.faiss").write_bytes(whole)  # nobody does that: it shows that the file is not read
    assert title(oomph) == "The kettle leaks" and oomph.serving.failure
    newest = build(settings.folders, settings.home, encoder, silent).generation
    assert title(oomph) == "The kettle drips" and oomph.serving.failure is None
    assert oomph.serving().manifest.name == newest.name


def test_where_no_index_is_whole_every_question_is_told_so(settings, encoder):
    oomph = Oomph(settings, encoder)
    damage(oomph.index(silent).generation)
    for _ in range(2):
        with pytest.raises(IndexFailure, match="damaged"):
            oomph.serving()


def test_a_pointer_that_is_gone_for_a_while_leaves_no_failure_behind(settings, encoder):
    oomph = Oomph(settings, encoder)
    oomph.index(silent)
    pointer = settings.home / "index" / "CURRENT"
    title(oomph)
    name = pointer.read_text()
    pointer.unlink()
    assert title(oomph) == "The kettle leaks" and oomph.serving.failure
    pointer.write_text(name)
    assert title(oomph) == "The kettle leaks" and oomph.serving.failure is None


def test_a_check_of_a_folder_without_entries_says_so(tmp_path, capsys):
    (tmp_path / "errors").mkdir()
    assert main(["kb", "check", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "There is no entry in" in said.err


def test_the_page_says_that_a_model_is_not_used_and_that_an_older_index_answers(settings, encoder, tmp_path):
    from ui.web import Page

    (tmp_path / "model.gguf").write_text("<html>")
    oomph = Oomph(settings, encoder, model=tmp_path / "model.gguf")
    oomph.index(silent)
    assert "is no GGUF file" in Page(oomph).status() and "Going on with cards only" in Page(oomph).status()
    rename(settings, "The kettle drips")
    damage(build(settings.folders, settings.home, encoder, silent).generation)
    assert title(oomph) == "The kettle leaks" and "is damaged" in Page(oomph).status()
    oomph.index(silent)
    assert title(oomph) == "The kettle drips" and "is damaged" not in Page(oomph).status()
