import shutil

import numpy as np
import pytest

from index.embed import SentenceEncoder
from kb.failures import EmbedderFailure


def test_the_built_in_model_gives_rows_of_length_one_and_near_texts_near_vectors(real_encoder):
    one, same, other = real_encoder.encode(
        ["The GPU has no free memory.", "The graphics card is out of memory.", "A recipe for lasagna."]
    )
    assert one.shape == (384,) and one.dtype == np.float32
    assert np.allclose([np.linalg.norm(row) for row in (one, same, other)], 1, atol=2e-2)
    assert one @ same > 0.5 > one @ other


def test_the_window_is_the_models_own(real_encoder):
    assert real_encoder.window == 256
    assert real_encoder.count_tokens("hello world") == 4  # two words and the two special tokens


def test_weights_that_are_not_the_published_ones_are_refused(real_encoder, tmp_path, monkeypatch):
    copy = tmp_path / "model"
    shutil.copytree(real_encoder.folder, copy)
    with (copy / "model.safetensors").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"\0\1\2\3")
    monkeypatch.setattr("index.embed._default_folder", lambda: copy)
    with pytest.raises(EmbedderFailure, match="SHA-256"):
        SentenceEncoder()


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(EmbedderFailure, match="OOMPH_EMBEDDER"):
        SentenceEncoder(tmp_path)
