import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from index import generation as store
from index.build import build, is_stale
from index.cache import EmbeddingCache
from index.embed import BATCH
from kb.failures import BadKnowledge, IndexBusy, IndexFailure
from tests.conftest import WordEncoder, silent

ROOT = Path(__file__).parent.parent


def changed(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_second_build_embeds_nothing(kettle, tmp_path, encoder):
    first = build([kettle], tmp_path, encoder, silent)
    encoder.encoded.clear()
    second = build([kettle], tmp_path, encoder, silent)
    assert first.embedded > 0 and second.embedded == 0 and encoder.encoded == []


def test_after_one_edit_only_the_changed_passages_are_embedded(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    encoder.encoded.clear()
    file = kettle / "errors" / "kettle-leaks.md"
    file.write_text(
        file.read_text().replace("a puddle below the kettle after an hour", "a lake below the kettle after an hour")
    )
    report = build([kettle], tmp_path, encoder, silent)
    assert len(encoder.encoded) == report.embedded == 1
    assert "a lake below the kettle" in encoder.encoded[0]


def test_each_passage_has_its_own_vector(kettle, tmp_path, encoder):
    generation = store.load(build([kettle], tmp_path, encoder, silent).generation)
    for position, passage in enumerate(generation.passages):
        found = generation.vectors.search(encoder.encode([passage.embedded])[0], 1)[0]
        assert generation.passages[found[0]].hash == generation.passages[position].hash and found[1] > 0.999


def test_a_build_that_was_stopped_goes_on_where_it_was(kettle, tmp_path, encoder, monkeypatch):
    monkeypatch.setattr("index.build.STEP", 8)

    def stop_after_two_steps(what, done, of):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([kettle], tmp_path, encoder, stop_after_two_steps)
    done = len(encoder.encoded)
    encoder.encoded.clear()
    assert build([kettle], tmp_path, encoder, silent).embedded == len(encoder.encoded) > 0
    assert done == 16


def test_a_removed_file_leaves_the_index(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    (kettle / "forks" / "kettle-error.yaml").unlink()
    (kettle / "errors" / "kettle-leaks.md").unlink()
    generation = store.load(build([kettle], tmp_path, encoder, silent).generation)
    assert "kettle-leaks" not in generation.entries


def test_what_is_hidden_or_no_file_is_no_entry(kettle, tmp_path, encoder):
    (kettle / "errors" / ".#kettle-leaks.md").symlink_to("somebody@somewhere.1234:5678")  # as Emacs does
    (kettle / "errors" / "gone.md").symlink_to(tmp_path / "nowhere")
    (kettle / "errors" / "folder.md").mkdir()
    (kettle / "errors" / ".trash").mkdir()
    (kettle / "errors" / ".trash" / "old.md").write_text("no entry")
    report = build([kettle], tmp_path, encoder, silent)
    assert report.manifest.failed == () and report.manifest.errors == 2
    assert not is_stale([kettle], tmp_path, encoder)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that nobody can read, root neither")
def test_a_file_that_cannot_be_read_is_listed_and_takes_nothing_down(kettle, tmp_path, encoder):
    (kettle / "errors" / "unreadable.md").symlink_to("/proc/self/mem")
    report = build([kettle], tmp_path, encoder, silent)
    assert [Path(failed.file).name for failed in report.manifest.failed] == ["unreadable.md"]
    assert report.manifest.errors == 2 and not is_stale([kettle], tmp_path, encoder)


def test_a_footnote_without_its_source_keeps_the_last_good_entry_and_is_listed(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    changed(kettle / "errors" / "kettle-leaks.md", "dry.[^manual]", "very dry.[^book]")
    for _ in range(2):
        report = build([kettle], tmp_path, encoder, silent)
        assert [str(failed).rsplit("/", 1)[-1] for failed in report.manifest.failed] == [
            "kettle-leaks.md:28: body: footnote [^book] has no source of that name"
        ]
        kept = store.load(report.generation).entries["kettle-leaks"]
        assert "dry.[^manual]" in kept.text and "very dry" not in kept.text


def test_a_fork_is_left_out_as_long_as_an_entry_that_it_names_is_missing(kettle, tmp_path, encoder):
    file = kettle / "errors" / "kettle-leaks.md"
    good = file.read_text()
    changed(file, "dry.[^manual]", "dry.[^book]")  # never good before: out, and the fork with it
    report = build([kettle], tmp_path, encoder, silent)
    entries = store.load(report.generation).entries
    assert "kettle-leaks" not in entries and "kettle-error" not in entries
    assert [(Path(failed.file).name, failed.line, failed.field) for failed in report.manifest.failed] == [
        ("kettle-leaks.md", 28, "body"),
        ("kettle-error.yaml", 9, "options"),
    ]
    assert "kettle-will-not-boil" in entries, "a link that is only shown leads nowhere for a while"
    file.write_text(good)
    report = build([kettle], tmp_path, encoder, silent)
    assert "kettle-error" in store.load(report.generation).entries and report.manifest.failed == ()


def test_a_kept_fork_goes_when_an_entry_that_it_names_goes(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    (kettle / "forks" / "kettle-error.yaml").write_text("no fork")
    assert "kettle-error" in store.load(build([kettle], tmp_path, encoder, silent).generation).entries
    (kettle / "errors" / "kettle-leaks.md").unlink()
    assert "kettle-error" not in store.load(build([kettle], tmp_path, encoder, silent).generation).entries


def test_your_own_entry_that_does_not_fit_gives_way_to_ours(kettle, tmp_path, encoder):
    own = tmp_path / "own"
    shutil.copytree(kettle / "errors", own / "errors")
    changed(own / "errors" / "kettle-leaks.md", "dry.[^manual]", "dry.[^book]")
    report = build([kettle, own], tmp_path, encoder, silent)
    entries = store.load(report.generation).entries
    assert "dry.[^manual]" in entries["kettle-leaks"].text and "kettle-error" in entries
    assert [failed.file for failed in report.manifest.failed] == [str(own / "errors" / "kettle-leaks.md")]


def test_a_file_that_broke_keeps_its_last_good_entry_and_is_listed(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    (kettle / "errors" / "kettle-leaks.md").write_text("no entry any more")
    for _ in range(2):  # also when the build that kept it is itself the last good one
        report = build([kettle], tmp_path, encoder, silent)
        generation = store.load(report.generation)
        assert generation.entries["kettle-leaks"].title == "The kettle leaks"
        assert [failed.file.rsplit("/", 1)[-1] for failed in report.manifest.failed] == ["kettle-leaks.md"]


def test_when_nothing_can_be_read_the_old_index_serves_on(kettle, tmp_path, encoder):
    before = build([kettle], tmp_path, encoder, silent).generation
    with pytest.raises(BadKnowledge, match="kb check"):
        build([tmp_path / "empty"], tmp_path, encoder, silent)
    assert store.current(tmp_path) == before


def test_an_encoder_that_dies_leaves_the_old_index_whole(kettle, tmp_path, encoder):
    before = build([kettle], tmp_path, encoder, silent).generation

    class Dying(WordEncoder):
        identity = "another"

        def encode(self, texts):
            raise MemoryError

    with pytest.raises(MemoryError):
        build([kettle], tmp_path, Dying(), silent)
    assert store.current(tmp_path) == before and store.load(before)


def test_only_one_builds_at_a_time(kettle, tmp_path, encoder):
    (tmp_path / "index").mkdir()
    with FileLock(tmp_path / "index" / "build.lock"), pytest.raises(IndexBusy, match="try again"):
        build([kettle], tmp_path, encoder, silent)
    build([kettle], tmp_path, encoder, silent)


def test_stale_is_what_was_made_from_other_content_or_by_another_embedder(kettle, tmp_path, encoder):
    assert is_stale([kettle], tmp_path, encoder)
    build([kettle], tmp_path, encoder, silent)
    assert not is_stale([kettle], tmp_path, encoder)
    other = WordEncoder()
    other.identity = "another"
    assert is_stale([kettle], tmp_path, other)
    (kettle / "glossary" / "heater.md").write_text(
        (kettle / "glossary" / "heater.md").read_text() + "\nMore.[^manual]\n"
    )
    assert is_stale([kettle], tmp_path, encoder)


def test_another_embedder_builds_a_new_generation_with_its_own_vectors(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    other = WordEncoder()
    other.identity = "another"
    report = build([kettle], tmp_path, other, silent)
    assert report.embedded == len({passage.hash for passage in store.load(report.generation).passages})
    assert report.manifest.embedder == "another"


def test_progress_ends_where_it_said_it_would(kettle, tmp_path, encoder):
    told = []
    build([kettle], tmp_path, encoder, lambda *step: told.append(step))
    embedding = [(done, of) for what, done, of in told if what == "embedding passages"]
    assert embedding[0][0] == 0 and embedding[-1][0] == embedding[-1][1] > 0
    assert told[-1] == ("ready", 1, 1)


def test_a_damaged_cache_costs_time_and_nothing_else(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    (tmp_path / "index" / "embeddings.sqlite").write_bytes(b"x" * 9000)
    assert build([kettle], tmp_path, encoder, silent).embedded > 0
    assert build([kettle], tmp_path, encoder, silent).embedded == 0


def vectors(count):
    return {f"{number:064x}": np.random.default_rng(number).standard_normal(64, np.float32) for number in range(count)}


@pytest.mark.parametrize("start", [0, 5_000, 100_000, 200_000, 300_000])
@pytest.mark.parametrize("length", [1, 50_000])
def test_a_cache_damaged_anywhere_gives_no_wrong_vector_and_goes_on(tmp_path, start, length):
    (tmp_path / "index").mkdir()
    put = vectors(2000)
    with EmbeddingCache(tmp_path) as cache:
        cache.put("words", put)
    with (tmp_path / "index" / "embeddings.sqlite").open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xfe" * length)
    with EmbeddingCache(tmp_path) as cache:
        assert all(np.array_equal(vector, put[key]) for key, vector in cache.get("words", list(put)).items())
        cache.put("words", put)
        assert len(cache.get("words", list(put))) == 2000


def test_a_changed_byte_of_a_kept_vector_is_noticed(tmp_path):
    (tmp_path / "index").mkdir()
    put = vectors(1)
    with EmbeddingCache(tmp_path) as cache:
        cache.put("words", put)
    file = tmp_path / "index" / "embeddings.sqlite"
    (vector,) = put.values()
    assert vector.tobytes() in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(vector.tobytes(), b"\1" + vector.tobytes()[1:]))
    with EmbeddingCache(tmp_path) as cache:
        assert cache.get("words", list(put)) == {}


def test_a_locked_cache_is_left_alone_and_said(kettle, tmp_path, encoder):
    build([kettle], tmp_path, encoder, silent)
    file = tmp_path / "index" / "embeddings.sqlite"
    before = file.read_bytes()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(IndexFailure, match="locked"):
        build([kettle], tmp_path, encoder, silent)
    other.close()
    assert file.read_bytes() == before
    assert build([kettle], tmp_path, encoder, silent).embedded == 0


def test_vectors_that_no_kept_generation_uses_are_forgotten(kettle, tmp_path, encoder):
    other = WordEncoder()
    other.identity = "another"
    for turn in range(6):
        file = kettle / "errors" / "kettle-leaks.md"
        file.write_text(file.read_text() + f"\nTurn {turn}.[^manual]\n")
        build([kettle], tmp_path, other if turn == 4 else encoder, silent)
        with EmbeddingCache(tmp_path) as cache:
            used = set.union(*(store.vector_keys(folder) for folder in store.generations(tmp_path)))
            assert cache.keys() == used
    assert {embedder for embedder, _ in used} == {"another", encoder.identity}


def test_a_question_waits_for_no_more_than_a_small_batch(kettle, tmp_path):
    sizes = []

    class Counting(WordEncoder):
        def encode(self, texts):
            sizes.append(len(texts))
            return super().encode(texts)

    build([kettle], tmp_path, Counting(), silent)
    assert sum(sizes) > BATCH and max(sizes) <= BATCH == 8


def test_a_question_that_waits_for_the_encoder_goes_before_the_next_batch(real_encoder):
    for _ in range(5):
        order = []

        def ask(order=order):
            with real_encoder._alone():
                order.append("question")

        question = threading.Thread(target=ask)
        with real_encoder._alone():  # one batch
            question.start()
            time.sleep(0.05)
        with real_encoder._alone():
            order.append("next batch")
        question.join()
        assert order == ["question", "next batch"]


def nothing_half_built(home):
    left = {path.name for path in (home / "index").iterdir()} - {"embeddings.sqlite-journal"}  # SQLite's own affair
    return left <= {"CURRENT", "generations", "embeddings.sqlite", "build.lock"}


@pytest.mark.parametrize("home", ["a file", "below a file", "where nothing can be made"])
def test_a_home_that_cannot_be_written_is_said(kettle, tmp_path, encoder, home):
    (tmp_path / "file").write_text("a file")
    path = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "home"}.get(home, Path("/dev/null/home"))
    with pytest.raises(IndexFailure, match="cannot be written to .*OOMPH_HOME"):
        build([kettle], path, encoder, silent)


def test_a_pointer_that_cannot_be_replaced_is_said(kettle, tmp_path, encoder):
    (tmp_path / "index" / "CURRENT").mkdir(parents=True)
    for _ in range(5):
        with pytest.raises(IndexFailure, match="cannot be written to .*OOMPH_HOME"):
            build([kettle], tmp_path, encoder, silent)
    assert nothing_half_built(tmp_path) and len(store.generations(tmp_path)) == store.KEEP


@contextmanager
def files_no_larger_than(size):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("size", [0, 500, 2_000, 5_000, 8_000, 12_000, 20_000])
def test_a_full_disk_is_said_and_leaves_the_old_index_whole(kettle, tmp_path, encoder, size, cached):
    other = WordEncoder()
    other.identity = "another"
    if cached:
        build([kettle], tmp_path, other, silent)
    before = build([kettle], tmp_path, encoder, silent).generation
    with files_no_larger_than(size), pytest.raises(IndexFailure, match="cannot be written to .*Free some space"):
        build([kettle], tmp_path, other, silent)
    assert store.current(tmp_path) == before and store.load(before) and nothing_half_built(tmp_path)
    assert build([kettle], tmp_path, other, silent).manifest.embedder == "another"


BUILDS = """
import sys
from pathlib import Path
from index.build import build
from tests.conftest import WordEncoder, silent

kettle, home = map(Path, sys.argv[1:])
file = kettle / "errors" / "kettle-leaks.md"
text = file.read_text()
for turn in range(10_000):
    aside = file.with_suffix(".new")
    aside.write_text(text + f"\\nTurn {turn}.[^manual]\\n")
    aside.replace(file)
    build([kettle], home, WordEncoder(), silent)
    print("built", flush=True)
"""


def test_killed_at_any_moment_the_last_good_index_serves_and_the_next_build_succeeds(kettle, tmp_path, encoder):
    home = tmp_path / "home"
    moments = random.Random(20261120)
    file = kettle / "errors" / "kettle-leaks.md"
    text = file.read_text()
    for _ in range(10):
        builder = subprocess.Popen(
            [sys.executable, "-c", BUILDS, str(kettle), str(home)], cwd=ROOT, stdout=subprocess.PIPE
        )
        with builder:
            assert builder.stdout.readline() == b"built\n"
            time.sleep(moments.uniform(0, 0.3))
            builder.kill()
        survived = store.load(store.current(home), encoder.identity)
        assert survived.manifest.errors == 2 and survived.manifest.forks == 1 and survived.manifest.terms == 2
        file.write_text(text)
        report = build([kettle], home, encoder, silent)
        generation = store.load(report.generation)
        assert store.current(home) == report.generation and report.manifest.failed == ()
        assert report.embedded <= 2, "the cache was lost"
        assert set(generation.entries) == set(survived.entries) and nothing_half_built(home)
        assert len(store.generations(home)) <= store.KEEP
