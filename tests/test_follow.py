"""Conversations, on the real knowledge base with the real embedder."""

import pytest

OOM = "CUDA out of memory. Tried to allocate 2.00 GiB"


@pytest.mark.parametrize(
    ("turns", "entry"),
    [
        (["ollama is slow", "on linux"], "ollama-runs-on-cpu"),
        (["ollama is slow", "why?"], "ollama-runs-on-cpu"),
        (["ollama is slow", "how do I fix that on my Mac?"], "ollama-runs-on-cpu"),
        (["ollama is slow", "on windows with an RTX 3060"], "ollama-runs-on-cpu"),
        (
            ["AssertionError: Torch not compiled with CUDA enabled", "ok", "and on Windows?"],
            "torch-not-compiled-with-cuda",
        ),
        (["what is temperature in sampling?", "and top p?"], "top-p"),
        (["what is a kv cache", "and VRAM?"], "vram"),
        (["ollama is slow", "what is vram"], "vram"),
        ([OOM, "with vLLM"], "cuda-out-of-memory"),
    ],
)
def test_a_later_turn_keeps_the_subject_unless_it_names_another(asker, turns, entry):
    _, answer = asker.ask(turns)
    assert answer.candidates[0].entry == entry and answer.decision != "abstain"


@pytest.mark.parametrize(
    "between",
    [[], ["what is a KV cache?"], ["While making an image or a video"], ["thanks", "🙂"]],
)
def test_an_option_answers_the_fork_that_offered_it_however_long_ago(asker, between):
    _, asked = asker.ask([OOM])
    label = next(option for option in asked.question.options if "training" in option)
    _, answer = asker.ask([OOM, *between, label])
    assert (answer.decision, answer.candidates[0].entry) == ("answer", "cuda-oom-fine-tuning")
    assert answer.card.line.startswith("CUDA out of memory")


def test_hints_of_all_turns_are_kept(asker):
    question, _ = asker.ask(["I have a Radeon RX 7900 on Ubuntu", "thanks", "my gpu is not detected"])
    assert question.hints.vendors == {"amd"} and "linux" in question.hints.platforms


@pytest.mark.parametrize("before", [["ollama is slow"], ["gpu not working", "Anything with an AMD card"], [OOM]])
def test_what_is_not_ours_is_not_answered_after_something_that_was(asker, before):
    _, answer = asker.ask([*before, "how do I make lasagna"])
    assert answer.decision == "abstain"
