"""The page in a real Chromium: served by a real process, nothing leaves the machine."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from browser import find
from playwright.sync_api import expect, sync_playwright

from kb.read import BUILT_IN, read_knowledge
from tests import tiny_gguf
from tests.logs import out_of_memory_while_loading

ARGUMENTS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"
ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.browser


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Served:
    """`oomph serve` as a process of its own."""

    def __init__(self, home, *arguments):
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "OOMPH_HOME": str(home), "HF_HUB_OFFLINE": "1"}
        self.log = home / "serve.log"
        with self.log.open("w") as log:
            command = [
                sys.executable,
                "-m",
                "ui.cli",
                "serve",
                "--port",
                str(self.port),
                *arguments,
            ]  # a later --port wins
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        for _ in range(240):
            if self.process.poll() is not None:
                raise AssertionError(f"the server stopped: {self.log.read_text()}")
            try:
                urllib.request.urlopen(self.url, timeout=2).close()
                return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.5)
        raise AssertionError(f"the server does not answer: {self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(real_home, tmp_path_factory):
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(real_home, home)
    server = Served(home)
    yield server
    server.stop()


@pytest.fixture
def page(chromium, served):
    yield from opened(chromium, served)


def opened(chromium, served):
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(30_000)
    foreign, broken = [], []
    page.on(
        "request",
        lambda request: (
            foreign.append(request.url) if not request.url.startswith((served.url, "data:", "blob:")) else None
        ),
    )
    page.on("pageerror", lambda fault: broken.append(str(fault)))
    page.goto(served.url)
    page.locator("#box textarea").wait_for()
    yield page
    assert foreign == [], "a request left the machine"
    assert broken == [], "a script of the page failed"
    page.close()


def ask(page, text):
    page.locator("#box textarea").fill(text)
    page.keyboard.press("Enter")


def test_a_question_shows_the_card_and_a_citation_opens_its_passage(page):
    ask(page, "ollama is slow")
    expect(page.locator("#current .card h2")).to_have_text("Ollama is slow because it runs on the CPU")
    expect(page.locator("#current details.cause")).not_to_have_count(0)
    page.locator("#current .cite").nth(3).click()
    source = page.locator("#sources details.source.chosen")
    expect(source.locator("mark")).to_be_visible()
    assert source.locator("a").first.get_attribute("href").startswith("https://")
    assert source.locator("a").first.get_attribute("rel") == "noopener noreferrer"


def test_a_pasted_log_shows_its_deciding_line_and_its_numbers(page):
    ask(page, out_of_memory_while_loading(200))
    expect(page.locator("#current .card h2")).to_have_text("CUDA out of memory while the model is loading")
    expect(page.locator("#current .card .line")).to_contain_text("torch.OutOfMemoryError")
    expect(page.locator("#current .card .fact").first).to_contain_text("1.00 GiB is missing")
    expect(page.locator("#current .asked summary")).to_contain_text("198 lines")


def test_a_forks_button_leads_to_its_entry(page):
    ask(page, "CUDA out of memory. Tried to allocate 1.27 GiB")
    page.locator("#current button.option", has_text="While training").click()
    expect(page.locator("#current .card h2")).to_contain_text("fine-tuning")
    expect(page.locator("#history .card h2")).to_have_text("CUDA out of memory")


def test_a_port_that_is_taken_is_said_in_one_sentence(served):
    with pytest.raises(AssertionError, match="Pass another --port"):
        Served(served.home, "--port", str(served.port))


def test_bullets_and_steps_are_lists(page):
    ask(page, "AssertionError: Torch not compiled with CUDA enabled")
    expect(page.locator("#current .card ol > li").first).to_be_visible()
    expect(page.locator("#current .card details", has_text="Does not help").locator("ul > li")).not_to_have_count(0)


def test_an_example_can_be_clicked(page):
    page.get_by_role("button", name="What is a KV cache?").click()
    expect(page.locator("#current .card h2")).to_have_text("KV cache")


def test_nothing_and_nonsense_are_said_in_one_sentence_and_the_talk_goes_on(page):
    ask(page, "🙂🙂")
    expect(page.locator("#current .card.failure")).to_contain_text("Paste an error message")
    ask(page, "<img src=x onerror=alert(1)><script>alert(2)</script> lasagna recipe")
    expect(page.locator("#current .card.abstain h2")).to_contain_text("Nothing in the knowledge base")
    assert page.locator("#current img, #current script").count() == 0
    ask(page, "what is vram")
    expect(page.locator("#current .card h2")).to_have_text("VRAM")


def test_every_entry_can_be_browsed(page):
    page.get_by_role("tab", name="Browse").click()
    box = page.locator("#choice input")
    box.click()
    box.press_sequentially("KV cache")
    page.locator("#choice ul li", has_text="KV cache").first.click()
    expect(page.locator("#entry .card h2")).to_have_text("KV cache")


def test_what_is_browsed_is_narrowed_to_a_category(page):
    page.get_by_role("tab", name="Browse").click()
    page.locator("#group input").click()
    page.locator("#group ul li", has_text="Evaluation").click()
    page.locator("#choice input").click()
    expect(page.locator("#choice ul li", has_text="Perplexity").first).to_be_visible()
    expect(page.locator("#choice ul li", has_text="KV cache")).to_have_count(0)


def test_a_related_term_opens_from_an_entry_that_is_browsed(page):
    page.get_by_role("tab", name="Browse").click()
    page.locator("#choice input").click()
    page.locator("#choice input").press_sequentially("KV cache")
    page.locator("#choice ul li", has_text="KV cache").first.click()
    page.locator("#entry .links button", has_text="Context window").first.click()
    expect(page.locator("#current .card h2")).to_have_text("Context window")


def test_an_own_entry_is_found_after_indexing_again(page, served, kettle):
    shutil.copytree(kettle, served.home / "library", dirs_exist_ok=True)
    page.get_by_role("tab", name="Library").click()
    page.locator("#reindex").click()
    expect(page.locator("#indexed")).to_contain_text("Indexed:", timeout=120_000)
    expect(page.locator("#bar")).to_contain_text(f"{len(read_knowledge(BUILT_IN).errors) + 2} errors")
    page.get_by_role("tab", name="Ask").click()
    ask(page, "LeakWarning: 12 ml lost")
    expect(page.locator("#current .card h2")).to_have_text("The kettle leaks")


def test_the_same_answer_comes_through_the_api(served):
    from gradio_client import Client

    answer = Client(served.url, verbose=False).predict("what is vram", api_name="/ask")
    assert answer["candidates"][0]["entry"] == "vram" and answer["writer"] == "card"


def test_a_model_explains_below_the_card_and_can_be_stopped(chromium, served, real_home, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(real_home, home)
    model = tiny_gguf.write(home / "tiny.gguf", width=256, layers=4)
    server = Served(home, "--model", str(model))
    try:
        for page in opened(chromium, server):
            expect(page.locator("#bar")).to_contain_text("model: tiny")
            ask(page, "ollama is slow")
            expect(page.locator("#current .card h2")).to_have_text("Ollama is slow because it runs on the CPU")
            expect(page.locator("#explanation .explanation")).to_be_visible(timeout=60_000)
            page.locator("#box textarea").fill("typed meanwhile")
            page.locator("#box .stop-button").click()
            page.wait_for_timeout(1500)
            written = page.locator("#explanation").inner_text()
            page.wait_for_timeout(1500)
            assert page.locator("#explanation").inner_text() == written
            assert page.locator("#explanation .pending").count() == 0
            assert page.locator("#box textarea").input_value() == "typed meanwhile"
            ask(page, "what is vram")
            expect(page.locator("#current .card h2")).to_have_text("VRAM")
            ask(page, "what is a KV cache?")  # while the one before is still being explained
            expect(page.locator("#current .card h2")).to_have_text("KV cache")
            ask(page, "what is vram")
            expect(page.locator("#current .card h2")).to_have_text("VRAM")
    finally:
        server.stop()
