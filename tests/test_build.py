import pytest
from filelock import FileLock

from index import generation as store
from index.build import build, is_stale
from kb.failures import BadKnowledge, IndexBusy
from tests.conftest import WordEncoder, silent


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
