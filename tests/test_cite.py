import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer import Citation
from rag.cite import check, split

EVIDENCE = [
    Citation(
        1,
        "e",
        "t",
        (),
        (),
        "Causes",
        "`ollama ps` shows `100% CPU` when the model does not fit on the card.[^faq]",
        0,
        1,
        "",
        0,
        (),
    ),
    Citation(
        2,
        "e",
        "t",
        (),
        (),
        "Causes",
        "Shorten the context: set `OLLAMA_CONTEXT_LENGTH` to 4096 for the server.[^faq]",
        0,
        1,
        "",
        0,
        (),
    ),
]


def verdicts(written, **more):
    return [(sentence.verdict, sentence.cites) for sentence in check(written, EVIDENCE, **more)]


def test_a_sentence_gets_the_number_of_the_statement_that_says_it():
    assert verdicts("The model does not fit on the card. Set OLLAMA_CONTEXT_LENGTH to 4096.") == [
        ("supported", (1,)),
        ("supported", (2,)),
    ]


def test_the_models_own_marks_count_for_nothing():
    assert verdicts("The model does not fit on the card [2].") == [("supported", (1,))]
    assert verdicts("The model does not fit on the card 【99】.") == [("supported", (1,))]
    assert verdicts("Buy a bigger house [1].") == [("unsupported", ())]


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
    assert [sentence.verdict for sentence in check(invented, EVIDENCE)] == ["command"]


def test_a_changed_number_is_caught():
    assert verdicts("Set OLLAMA_CONTEXT_LENGTH to 8192.") == [("number", ())]
    assert verdicts("`ollama ps` shows `50% CPU` when the model does not fit.")[0][0] in ("command", "number")


def test_numbers_of_their_own_log_are_known():
    assert verdicts("The model does not fit on the card of 12 GiB.", facts=["Asked for 1 GiB of 12 GiB."]) == [
        ("supported", (1,))
    ]


def test_what_is_not_finished_is_pending():
    assert verdicts("The model does not fit on the card. Set OLLAMA_CONT", finished=False)[-1][0] == "pending"


def test_thoughts_are_never_cited():
    assert verdicts("<think>The model does not fit on the card.</think>") == []
    assert verdicts("<think>The model does not fit on the") == []


def test_a_code_block_is_one_piece():
    assert split("Do this:\n```bash\na. b\nc\n```\nThen rest.") == ["Do this:", "```bash\na. b\nc\n```", "Then rest."]


@settings(deadline=None)
@given(st.text(alphabet="ab []()【】0123456789.`-\n<>think/OLLAMA_CPU%", max_size=200), st.booleans())
def test_no_text_produces_a_citation_that_was_not_given(written, finished):
    for sentence in check(written, EVIDENCE, finished=finished):
        assert set(sentence.cites) <= {1, 2}
        assert not sentence.cites or sentence.verdict == "supported"
