import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.words import Words, content_tokens, tokens
from kb.failures import IndexDamaged


@pytest.mark.parametrize(
    ("text", "whole", "parts"),
    [
        ("cudaErrorNoKernelImageForDevice", "cudaerrornokernelimagefordevice", {"kernel", "image", "device"}),
        ("-DGGML_CUDA=on", "dggml_cuda_on", {"dggml", "cuda"}),
        ("HSA_OVERRIDE_GFX_VERSION", "hsa_override_gfx_version", {"hsa", "gfx"}),
        ("Q4_K_M", "q4_k_m", set()),
        ("llama-cpp-python", "llama_cpp_python", {"llama", "cpp", "python"}),
        ("torch.cuda.is_available()", "torch_cuda_is_available", {"torch", "cuda", "available"}),
    ],
)
def test_identifiers_are_kept_whole_and_in_parts(text, whole, parts):
    found = tokens(text)
    assert whole in found
    assert parts <= set(found)


def test_words_without_meaning_are_left_out():
    assert content_tokens("What is the KV cache and how do I use it?") == ["kv", "cache"]


def test_the_entry_with_the_words_is_found_first(kettles):
    assert kettles.words.search(content_tokens("puddle under the kettle, it leaks"), 5)[0][0] == "kettle-leaks"
    assert kettles.words.search(content_tokens("--heater"), 5)
    assert kettles.words.search([], 5) == []


@settings(deadline=None)
@given(st.text(max_size=80))
def test_no_text_breaks_the_query_language(text):
    import sqlite3
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "words.sqlite"
        Words.write(file, [])
        words = Words(file)
        try:
            assert words.search(content_tokens(text), 5) == []
        except sqlite3.Error as fault:
            raise AssertionError(f"{text!r}: {fault}") from fault
        finally:
            words.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "words.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(IndexDamaged, match="oomph index"):
        Words(tmp_path / "words.sqlite")
