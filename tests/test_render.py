import json
import threading
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rag.answer import Answer, Block, Card, Citation, Item, Sentence, SourceLink
from rag.card import entry_card
from tests.conftest import ScriptedWriter
from ui import render

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>[x](javascript:alert(3))'


def evil_answer():
    citation = Citation(
        1,
        "e",
        EVIL,
        (EVIL,),
        (EVIL,),
        EVIL,
        EVIL,
        0,
        len(EVIL),
        EVIL,
        0,
        (SourceLink(EVIL, 'https://example.org/"onload=x'),),
    )
    card = Card(
        EVIL,
        (Item(EVIL, 1),),
        (Block(EVIL, (Item(EVIL, 1, "fix", True),), "option"), Block(EVIL, (Item(EVIL, 1),), "cause")),
        (EVIL,),
        EVIL,
    )
    return Answer(
        "answer",
        1.0,
        card,
        (citation,),
        (),
        explanation=(Sentence(EVIL, (1,)), Sentence(EVIL, (), "command")),
        writer=EVIL,
        notice=EVIL,
    )


def test_nothing_that_came_from_outside_is_live_in_the_page():
    answer = evil_answer()
    for html in (render.html(answer), render.sources_html(answer.citations)):
        seen = Attributes()
        seen.feed(html)
        assert seen.tags and not seen.tags & {"script", "img", "iframe", "object"}
        assert not any(name.startswith("on") for name, _ in seen.attributes)
        assert all(value.startswith("https://") for name, value in seen.attributes if name in ("href", "src"))


class Attributes(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs


def test_links_open_only_web_pages_and_tell_them_nothing(kettles):
    html = render.sources_html(entry_card("kettle-leaks", kettles).citations)
    assert 'href="https://example.org/manual"' in html and 'rel="noopener noreferrer"' in html


def test_the_quoted_words_are_marked_in_their_passage(kettles):
    answer = entry_card("kettle-leaks", kettles)
    html = render.sources_html(answer.citations)
    assert "<mark>there is a puddle below the kettle after an hour.</mark>" in html
    assert "[^manual]" not in html


def test_sources_of_the_section_are_said_to_be_that(kettles):
    html = render.sources_html(entry_card("kettle-will-not-boil", kettles).citations)
    said = {
        piece.split("<mark>")[1].split("</mark>")[0]: "Sources of this section" in piece
        for piece in html.split("<details")[1:]
    }
    assert said["Wait five minutes."] and not said["kettle status prints boiling."]


def test_each_number_in_the_text_is_a_citation(kettles):
    answer = entry_card("kettle-will-not-boil", kettles)
    text = render.text(answer)
    assert all(f"[{citation.n}]" in text for citation in answer.citations)
    assert f"[{len(answer.citations) + 1}]" not in text
    assert text.index("[1]") < text.index("[2]") < text.index("[3]")


def test_code_keeps_its_lines_in_text_and_html(kettles):
    answer = entry_card("kettle-will-not-boil", kettles)
    assert "kettle reset --heater 1\n" in render.text(answer)
    assert "<pre><code>kettle reset --heater 1\n</code></pre>" in render.card_html(answer).replace(
        ' class="language-bash"', ""
    )


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf ~/.cache",
        "ollama rm llama3",
        "sudo apt purge nvidia-*",
        "docker system prune -a",
        "wsl --unregister Ubuntu",
        "kill -9 4711",
    ],
)
def test_a_destructive_command_is_marked(command):
    card = Card("t", (), (Block("b", (Item(f"Run `{command}`.", 1, "fix", True),), "cause"),))
    assert 'class="danger"' in render.card_html(Answer("answer", 1.0, card, (), ()))


def test_a_harmless_command_is_not_marked():
    card = Card("t", (), (Block("b", (Item("Run `nvidia-smi` and `ollama ps`.", 1, "fix", True),), "cause"),))
    assert "danger" not in render.card_html(Answer("answer", 1.0, card, (), ()))


def test_a_command_that_no_source_names_is_never_shown_as_code(asker):
    writing = replace(asker, writer=ScriptedWriter("Run `ollama --turbo-vram` first. ```bash\nrm -rf /models\n```"))
    question, card = writing.ask(["ollama is slow"])
    for answer in writing.explain(question, card, threading.Event()):
        html, text = render.explanation_html(answer), render.explanation_text(answer)
        assert "<code>" not in html and "<pre>" not in html and "`" not in text
    assert "do not run it" in html


CONTRACT = {
    "id": str, "answered": bool, "decision": str, "confidence": float, "text": str, "html": str, "citations": list, "candidates": list,
    "question": (dict, type(None)), "writer": str, "ms": dict,
}  # fmt: skip


@pytest.mark.parametrize(
    "query", ["ollama is slow", "CUDA out of memory. Tried to allocate 1.27 GiB", "how do I make lasagna"]
)
def test_the_object_keeps_the_contract(asker, query):
    _, answer = asker.ask([query])
    thing = json.loads(json.dumps(render.as_json("q1", answer)))
    assert list(thing) == list(CONTRACT)
    assert all(isinstance(thing[key], kind) for key, kind in CONTRACT.items())
    assert thing["decision"] in ("answer", "ask", "abstain") and thing["answered"] == (thing["decision"] != "abstain")
    assert 0 <= thing["confidence"] <= 1 and thing["writer"] == "card"
    assert 1 <= len(thing["candidates"]) <= 10 and set(thing["candidates"][0]) == {
        "entry",
        "title",
        "aliases",
        "signatures",
        "score",
    }
    assert set(thing["ms"]) == {"read", "retrieve", "first", "total"}
    for citation in thing["citations"]:
        assert set(citation) == {"n", "entry", "title", "aliases", "signatures", "section", "quote", "sources"}
        assert all(set(source) == {"title", "url"} for source in citation["sources"])
    if thing["decision"] == "ask":
        assert set(thing["question"]) == {"text", "options"} and all(
            option in thing["text"] for option in thing["question"]["options"]
        )
