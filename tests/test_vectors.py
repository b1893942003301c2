import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.vectors import VectorIndex
from kb.failures import IndexDamaged


def rows(count, seed):
    vectors = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 10_000), st.integers(1, 20))
def test_faiss_finds_what_brute_force_finds(count, seed, limit):
    vectors, query = rows(count, seed), rows(1, seed + 1)[0]
    scores = vectors @ query
    expected = np.sort(scores)[::-1][: min(limit, count)]
    found = VectorIndex.of(vectors).search(query, limit)
    assert np.allclose([score for _, score in found], expected, atol=1e-5)
    assert all(abs(scores[position] - score) < 1e-5 for position, score in found)


def test_a_saved_index_answers_like_the_one_that_was_saved(tmp_path):
    index = VectorIndex.of(rows(50, 1))
    index.save(tmp_path / "vectors.faiss")
    again = VectorIndex.load(tmp_path / "vectors.faiss")
    assert again.count == 50 and again.search(rows(1, 2)[0], 7) == index.search(rows(1, 2)[0], 7)


def test_a_file_that_is_no_index_is_refused(tmp_path):
    (tmp_path / "vectors.faiss").write_bytes(b"no index")
    with pytest.raises(IndexDamaged, match="oomph index"):
        VectorIndex.load(tmp_path / "vectors.faiss")
