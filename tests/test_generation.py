import gc
import json
import os
import shutil
import sqlite3
import stat

import pytest

from index import generation as store
from index.build import build
from kb.failures import IndexDamaged, IndexMissing, IndexStale
from tests.conftest import silent

PARTS = ("entries.json", "passages.json", "vectors.faiss", "words.sqlite")


@pytest.fixture
def folder(kettle, tmp_path, encoder):
    return build([kettle], tmp_path / "home", encoder, silent).generation


def test_what_was_saved_is_what_is_loaded(kettles, folder):
    loaded = store.load(folder)
    assert loaded.entries == kettles.entries and loaded.passages == kettles.passages
    assert loaded.vectors.count == len(loaded.passages)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["a byte", "cut", "gone"])
def test_a_damaged_file_is_refused(folder, part, damage):
    file = folder / part
    content = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    else:
        content[len(content) // 2] ^= 0x20
        file.write_bytes(content if damage == "a byte" else content[:-10])
    with pytest.raises(IndexDamaged, match="Run: oomph index"):
        store.load(folder)


@pytest.mark.parametrize(
    ("field", "value", "failure"),
    [
        ("format", 99, IndexStale),
        ("passages", 1, IndexDamaged),
        ("errors", 7, IndexDamaged),
        ("embedder", None, IndexDamaged),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder, field, value, failure):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[field] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(failure):
        store.load(folder)


def test_a_manifest_that_is_no_json_is_refused(folder):
    (folder / "manifest.json").write_text("{")
    with pytest.raises(IndexDamaged):
        store.load(folder)


def test_before_the_first_build_there_is_none(tmp_path):
    with pytest.raises(IndexMissing, match="oomph index"):
        store.current(tmp_path)


def test_a_pointer_that_leads_out_of_the_folder_is_not_followed(folder, tmp_path):
    (tmp_path / "home" / "index" / "CURRENT").write_text("../../../etc")
    with pytest.raises(IndexMissing):
        store.current(tmp_path / "home")


def test_when_the_current_one_is_damaged_the_one_before_serves(kettle, tmp_path, encoder, folder):
    file = kettle / "errors" / "kettle-leaks.md"
    file.write_text(file.read_text().replace("The kettle leaks", "The kettle drips"))
    newer = build([kettle], tmp_path / "home", encoder, silent).generation
    (newer / "vectors.faiss").write_bytes(b"")
    serving = store.last_good(tmp_path / "home")
    assert serving and serving.manifest.name == folder.name


def test_the_current_and_two_others_are_kept(kettle, tmp_path, encoder):
    built = [build([kettle], tmp_path / "home", encoder, silent).generation for _ in range(5)]
    assert store.generations(tmp_path / "home") == [built[4], built[3], built[2]]
    assert store.current(tmp_path / "home") == built[4]


def test_what_a_killed_build_left_is_removed(kettle, tmp_path, encoder, folder):
    index = tmp_path / "home" / "index"
    (index / "CURRENT.4711").write_text("20261120T000000.000000")
    (index / "building-20261120T000000.000000").mkdir()
    build([kettle], tmp_path / "home", encoder, silent)
    assert not [*index.glob("CURRENT.*"), *index.glob("building-*")] and (index / "CURRENT").is_file()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX opens folders")
def test_the_names_in_the_folders_are_on_the_disk_before_a_generation_serves(kettle, tmp_path, encoder, monkeypatch):
    synced = []
    fsync = os.fsync

    def remembered(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", remembered)
    folder = build([kettle], tmp_path / "home", encoder, silent).generation
    index = tmp_path / "home" / "index"
    assert synced == [path.stat().st_ino for path in (folder, index / "generations", index)]


def test_a_generation_of_another_embedder_is_refused(folder, tmp_path, encoder):
    assert store.load(folder, encoder.identity)
    with pytest.raises(IndexStale, match="another embedder"):
        store.load(folder, "another")
    assert store.last_good(tmp_path / "home", "another") is None


def test_the_words_are_closed_when_nobody_uses_them_any_more(folder):
    generation = store.load(folder)
    connection = generation.words._connection
    question = generation.words
    del generation
    gc.collect()
    assert question.search(["kettle"], 5)
    del question
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_nothing_is_pickled(folder):
    names = {file.name for file in folder.iterdir()}
    assert names == {*PARTS, "manifest.json"}
    shutil.rmtree(folder)
