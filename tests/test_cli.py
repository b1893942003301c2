"""The command line as a person meets it: real processes, own home."""

import json
import os
import subprocess
import sys

import pytest

from kb.read import BUILT_IN, read_knowledge
from tests.logs import out_of_memory_while_loading


@pytest.fixture(scope="module")
def oomph(real_home):
    """Run `oomph …` over the index that was built once."""

    def run(*arguments, stdin=b"", home=real_home, **environment):
        environment = {**os.environ, "OOMPH_HOME": str(home), "HF_HUB_OFFLINE": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "ui.cli", *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def test_a_log_from_a_pipe_names_the_right_entry_first_with_its_numbers(oomph):
    code, out, _ = oomph("ask", "-", stdin=out_of_memory_while_loading(200).encode())
    assert code == 0
    assert out.startswith("## CUDA out of memory while the model is loading")
    assert "Asked for 1.27 GiB with 276.44 MiB free of 11.76 GiB on GPU 0: 1.00 GiB is missing." in out
    assert "### Sources" in out and "https://" in out


def test_lasagna_is_not_ours(oomph):
    code, out, _ = oomph("ask", "how do I make lasagna")
    assert code == 0 and out.startswith("## Nothing in the knowledge base fits this.")


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["ask", ""], b"", "nothing to read"),
        (["ask", "   "], b"", "nothing to read"),
        (["ask", "🙂🙂"], b"", "nothing to read"),
        (["ask", "-"], b"", "nothing to read"),
        (["ask", "-"], b"\x00\x01\x02\xff\xfe", "nothing to read"),
        (["ask"], b"", "There is no question"),
        (["ask", "--batch", "nowhere.jsonl", "--out", "out.jsonl"], b"", "cannot be opened"),
        (["ask", "--batch", "nowhere.jsonl"], b"", "go together"),
        (["kb", "check", "no-such-folder"], b"", "is no folder"),
        (["serve", "--host", "0.0.0.0"], b"", "OOMPH_PASSWORD"),
        (["serve", "--port", "99999"], b"", "from 1 to 65535"),
        (["serve", "--port", "http"], b"", "from 1 to 65535"),
    ],
)
def test_bad_input_is_one_line_with_the_next_step(oomph, arguments, stdin, said):
    code, out, err = oomph(*arguments, stdin=stdin)
    assert code == 1 and out == ""
    assert said in err and err.startswith("oomph: ") and err.count("\n") == 1 and "Traceback" not in err


def test_a_paste_of_five_megabytes_with_binary_in_it_is_answered(oomph):
    paste = (
        os.urandom(2_000_000)
        + b"\nRuntimeError: CUDA error: no kernel image is available for execution on the device\n"
        + b"x" * 3_000_000
    )
    code, out, err = oomph("ask", "-", "--json", stdin=paste)
    assert code == 0, err
    assert json.loads(out)["candidates"][0]["entry"] == "cuda-no-kernel-image"


def test_a_model_that_is_no_gguf_is_said_and_the_card_is_shown(oomph, tmp_path):
    (tmp_path / "model.gguf").write_text("<html>")
    code, out, err = oomph("ask", "ollama is slow", "--model", str(tmp_path / "model.gguf"))
    assert code == 0 and "is no GGUF file" in err and "Going on with cards only" in err
    assert out.startswith("## Ollama is slow")


def test_a_batch_answers_every_line_broken_ones_too(oomph, tmp_path):
    lines = [
        '{"id": "a", "query": "what is vram"}',
        '{"id": "b", "turns": ["AssertionError: Torch not compiled with CUDA enabled", "and on Windows?"]}',
        "no json at all",
        '{"id": "d"}',
        '{"id": "e", "query": ""}',
        '["not", "an", "object"]',
        '{"id": 7, "query": "how do I make lasagna"}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    code, _, err = oomph("ask", "--batch", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"))
    assert code == 0, err
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [answer["id"] for answer in answers] == ["a", "b", 3, "d", "e", 6, 7]
    assert [answer["candidates"][0]["entry"] for answer in answers[:2]] == ["vram", "torch-not-compiled-with-cuda"]
    assert [answer["decision"] for answer in answers[2:]] == ["abstain"] * 5
    assert "no JSON" in answers[2]["text"] and "no query" in answers[3]["text"]


def test_a_batch_into_its_own_input_loses_nothing(oomph, tmp_path):
    both = tmp_path / "both.jsonl"
    both.write_text(
        '\ufeff{"id": "a", "query": "what is vram"}\n'
        + "[" * 100_000
        + '\n{"id": "\\ud83d", "query": "what is lora"}\n'
    )
    code, _, err = oomph("ask", "--batch", str(both), "--out", str(both))
    assert code == 0, err
    answers = [json.loads(line) for line in both.read_text().splitlines()]
    assert [answer["candidates"][0]["entry"] if answer["candidates"] else None for answer in answers] == [
        "vram",
        None,
        "lora",
    ]
    assert "no JSON" in answers[1]["text"] and "What would help" not in answers[1]["text"]


def test_a_damaged_index_is_mended_by_the_next_question(oomph, real_home, tmp_path):
    import shutil

    home = tmp_path / "home"
    shutil.copytree(real_home, home)
    folder = next((home / "index" / "generations").iterdir())
    (folder / "manifest.json").write_text("{")
    code, out, err = oomph("ask", "ollama is slow", home=home)
    assert code == 0 and out.startswith("## Ollama is slow"), err


def test_a_damaged_part_of_the_index_is_mended_too(oomph, real_home, tmp_path):
    import shutil

    home = tmp_path / "home"
    shutil.copytree(real_home, home)
    folder = next((home / "index" / "generations").iterdir())
    (folder / "vectors.faiss").write_bytes(b"broken")
    code, out, err = oomph("ask", "ollama is slow", home=home)
    assert code == 0 and out.startswith("## Ollama is slow"), err


def test_your_own_entry_is_found_and_a_broken_one_is_named(oomph, real_home, kettle, tmp_path):
    import shutil

    home = tmp_path / "home"
    shutil.copytree(real_home, home)
    shutil.copytree(kettle, home / "library")
    (home / "library" / "errors" / "broken.md").write_text("nothing")
    code, out, err = oomph("index", home=home)
    assert code == 0 and "broken.md:1" in err and f"{len(read_knowledge(BUILT_IN).errors) + 2} errors" in out
    assert oomph("ask", "LeakWarning: 12 ml lost", home=home)[1].startswith("## The kettle leaks")
    code, out, _ = oomph("kb", "check", home=home)
    assert code == 1 and "broken.md:1" in out


def test_help_needs_nothing_heavy(oomph):
    code = "import sys; from ui.cli import _parser; _parser().format_help(); print(sorted({'torch','gradio','faiss','pydantic','numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_says_what_it_does(oomph):
    for command in (["serve"], ["ask"], ["index"], ["kb"], ["kb", "check"], ["where"]):
        code, out, _ = oomph(*command, "--help")
        assert code == 0 and len(out) > 80
