"""The page: one column to talk in, one panel beside it for evidence. The only importer of gradio.

Takes a joined `Oomph`; knows no models and no files. All HTML comes sanitised from `ui.render`.
"""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import gradio as gr

from kb.entry import GlossaryEntry
from kb.failures import BadInput, Failure
from rag.ask import Asker
from rag.card import entry_card
from ui import render
from ui.batch import answer_turns
from ui.start import Oomph

HERE = Path(__file__).parent
EXAMPLES = (
    "CUDA out of memory. Tried to allocate 1.27 GiB",
    "Ollama is slow and does not use my GPU",
    "ROCm is not detected",
    "What is a KV cache?",
)
WELCOME = (
    '<div class="welcome"><h2>What broke?</h2>'
    "<p>Paste an error, a whole log or a question. Nothing leaves this machine.</p></div>"
)
EVERYTHING, ERRORS = "Everything", "Errors"
MAX_CHOICES = 1_000  # entries in the list to browse
MAX_SHOWN = 300  # lines of a pasted log that the page keeps


@dataclass
class Turn:
    """One question on the page and what was shown for it."""

    said: str
    asked: str = ""
    card: str = ""
    explanation: str = ""
    sources: str = ""


@dataclass
class Talk:
    """The conversation of one browser tab."""

    turns: list[Turn] = field(default_factory=list)

    def before(self, turn: Turn) -> str:
        """Return all turns but `turn`, which is shown by itself."""
        return "".join(one.asked + one.card + one.explanation for one in self.turns if one is not turn)

    def sources(self) -> str:
        """Return the evidence of all turns; the page shows that of one."""
        return "".join(turn.sources for turn in self.turns)


class Page:
    """The handlers behind the page."""

    def __init__(self, oomph: Oomph) -> None:
        self._oomph = oomph
        self._stops: dict[str, threading.Event] = {}  # by browser tab

    def respond(self, text: str, talk: Talk, request: gr.Request) -> Iterator[tuple[object, ...]]:
        """Show the card at once and empty the box, then let the explanation grow: what is typed meanwhile stays."""
        stop = self._new_stop(str(request.session_hash))
        turn, number = Turn(said=text, asked=asked_html(text)), len(talk.turns) + 1
        talk.turns.append(turn)
        try:
            question, answer = self._oomph.asker.ask([one.said for one in talk.turns])
        except Failure as failure:
            talk.turns.pop()  # it is shown, and not remembered
            yield talk.before(turn), turn.asked + failure_html(failure), "", render.sources_html((), number), "", talk
            return
        turn.card, turn.sources = render.card_html(answer, number), render.sources_html(answer.citations, number)
        yield talk.before(turn), turn.asked + turn.card, "", talk.sources(), "", talk
        for fuller in self._oomph.asker.explain(question, answer, stop):
            turn.explanation = render.explanation_html(fuller, number)
            if talk.turns[-1] is not turn:  # the next question is being answered already
                return
            yield gr.skip(), gr.skip(), turn.explanation, gr.skip(), gr.skip(), talk

    def _new_stop(self, tab: str) -> threading.Event:
        """Return the event that stops this tab's writer, after stopping the one that may still be writing."""
        self.stop_tab(tab)
        self._stops[tab] = threading.Event()
        return self._stops[tab]

    def stop_tab(self, tab: str) -> None:
        """Tell the writer of one tab to stop."""
        event = self._stops.pop(tab, None)
        if event:
            event.set()

    def stop(self, request: gr.Request) -> None:
        """Tell the writer of this tab to stop; what it has written so far stays."""
        self.stop_tab(str(request.session_hash))

    def status(self) -> str:
        """Return the bar on top: what is known and what is loaded."""
        writer = self._oomph.asker.writer
        model = f"model: {escape(writer.name)}" if writer else "model: none, cards only"
        try:
            manifest = self._oomph.serving().manifest
        except Failure as failure:
            return f'<header><b>oomph</b> <span class="bad">{escape(str(failure))}</span></header>'
        failed = f'<span class="bad">{len(manifest.failed)} problems in files</span>' if manifest.failed else ""
        return (
            f"<header><b>oomph</b><span>{manifest.errors} errors · {manifest.terms} terms · "
            f"indexed {ago(manifest.created)}</span>"
            f'{failed}<span class="model">{model}</span>'
            '<button class="theme" type="button" title="light or dark">☾</button></header>'
            + "".join(f'<p class="bad">{escape(notice)}</p>' for notice in self._oomph.notices)
        )

    def library(self) -> str:
        """Return what is indexed, which files have problems, and where one's own entries go."""
        parts = []
        try:
            manifest = self._oomph.serving().manifest
            parts.append(
                f"<p>{manifest.errors} error entries, {manifest.terms} terms and {manifest.forks} forks "
                f"in {manifest.passages} passages; generation <code>{escape(manifest.name)}</code>, "
                f"embedder <code>{escape(manifest.embedder)}</code>.</p>"
            )
            for failed in manifest.failed:
                where = f"{failed.file}:{failed.line}: {failed.field}"
                parts.append(f'<p class="bad">{escape(where)}: {escape(failed.message)}</p>')
        except Failure as failure:
            parts.append(failure_html(failure))
        parts.append(
            f"<p>Your own entries: <code>{escape(str(self._oomph.settings.library))}</code>, with the folders "
            "<code>errors/</code>, <code>glossary/</code>, <code>forks/</code>. Save a file there and index again.</p>"
        )
        return render.sanitised("".join(parts))

    def index(self, progress: gr.Progress = gr.Progress()) -> tuple[str, str, str]:  # noqa: B008 - how gradio hands it in
        """Index anew, with progress; return what was done, the library's and the bar's new state."""

        def show(what: str, done: int, of: int) -> None:
            progress((done, of), desc=what)

        try:
            report = self._oomph.index(show)
            said = f"Indexed: {report.embedded} passages embedded, {report.manifest.passages - report.embedded} kept."
            message = f'<p class="good">{said}</p>'
        except Failure as failure:
            message = failure_html(failure)
        return message, self.library(), self.status()

    def groups(self) -> list[str]:
        """Return what the entries can be narrowed to: the errors, and each category of terms that there is."""
        entries = self._oomph.serving().entries.values()
        return [EVERYTHING, ERRORS, *sorted({entry.category for entry in entries if isinstance(entry, GlossaryEntry)})]

    def entries(self, group: str = "") -> list[tuple[str, str]]:
        """Return (title, id) of all entries of a group, for browsing."""
        chosen = [
            (entry.title, entry.id)
            for entry in self._oomph.serving().entries.values()
            if entry.kind != "fork"
            and group in ("", EVERYTHING, entry.category if isinstance(entry, GlossaryEntry) else ERRORS)
        ]
        return sorted(chosen, key=lambda pair: pair[0].lower())

    def narrow(self, group: str) -> dict[str, Any]:
        """Return the choice of entries, narrowed to a group."""
        return dict(gr.update(choices=self.entries(group), value=None))

    def browse(self, chosen: str | None) -> str:
        """Return one entry whole, with its sources."""
        if not chosen:
            return ""
        answer = entry_card(chosen, self._oomph.serving())
        return render.card_html(answer, 0) + render.sources_html(answer.citations, 0)


def asked_html(text: str) -> str:
    """Return what the person said; a log folded, with its first line and its length."""
    lines = text.strip().split("\n")
    if len(lines) < 4 and len(text) < 600:
        return f'<div class="asked"><p>{escape(text.strip())}</p></div>'
    kept = "\n".join(line[:1000] for line in lines[-MAX_SHOWN:])
    return render.sanitised(
        f'<details class="asked"><summary>{len(lines)} lines <span>· {escape(_glimpse(lines))}</span></summary>'
        f"<pre>{escape(kept)}</pre></details>"
    )


def _glimpse(lines: list[str]) -> str:
    """Return the line by which a person knows their paste again: the last that says anything."""
    return next((line.strip()[:80] for line in reversed(lines) if line.strip()), "") + " …"


def failure_html(failure: Failure) -> str:
    """Return a failure as two sentences: what happened, what to do."""
    told = f"<strong>{escape(failure.what)}</strong> {escape(failure.next_step)}"
    return f'<article class="card failure"><p>{told}</p></article>'


def ago(moment: datetime) -> str:
    """Return how long ago something was, in one unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def page(oomph: Oomph) -> gr.Blocks:
    """Lay the page out and tie its parts to the handlers."""
    handlers = Page(oomph)
    with gr.Blocks(title="oomph", analytics_enabled=False, fill_width=True) as blocks:
        bar = gr.HTML(handlers.status, elem_id="bar", js_on_load=None)
        with gr.Tabs():
            with gr.Tab("Ask"):
                _ask_tab(handlers)
            with gr.Tab("Browse"):
                _browse_tab(handlers)
            with gr.Tab("Library"):
                _library_tab(handlers, bar)
        _api(oomph.asker)
    return blocks  # type: ignore[no-any-return]  # what gradio's `with` gives is untyped


def _ask_tab(handlers: Page) -> None:
    talk = gr.State(lambda: Talk())  # noqa: PLW0108 - gradio would take the class itself for a value
    with gr.Row(elem_id="ask"):
        with gr.Column(scale=3, elem_id="talk"):
            history = gr.HTML(elem_id="history", js_on_load=None)
            current = gr.HTML(WELCOME, elem_id="current", js_on_load=None)
            explanation = gr.HTML(elem_id="explanation", js_on_load=None)
            with gr.Row(elem_id="examples"):
                buttons = [gr.Button(example, size="sm", variant="secondary") for example in EXAMPLES]
            box = gr.Textbox(
                placeholder="Paste an error, a log, a question …",
                show_label=False,
                label="Your question",
                lines=1,
                max_lines=10,
                submit_btn="Ask",
                stop_btn="Stop",
                elem_id="box",
                autofocus=True,
            )
        with gr.Column(scale=2, elem_id="evidence"):
            sources = gr.HTML(elem_id="sources", js_on_load=None)
    # "multiple": a question that is asked while another is explained is not lost; it stops the other
    how: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": 8,
        "trigger_mode": "multiple",
        "api_visibility": "private",
    }
    shown = [history, current, explanation, sources, box, talk]
    box.submit(handlers.respond, [box, talk], shown, **how)
    for button in buttons:
        button.click(handlers.respond, [button, talk], shown, **how)
    box.stop(handlers.stop, show_progress="hidden", queue=False, api_visibility="private")


def _browse_tab(handlers: Page) -> None:
    with gr.Row():
        group = gr.Dropdown(handlers.groups(), label="Of", elem_id="group", scale=1)
        choice = gr.Dropdown(
            handlers.entries(),
            value=None,
            label="Entry (type to narrow)",
            filterable=True,
            num_choices_shown=MAX_CHOICES,
            elem_id="choice",
            scale=3,
        )
    group.change(handlers.narrow, group, choice, show_progress="hidden", api_visibility="private")
    entry = gr.HTML(elem_id="entry", js_on_load=None)
    choice.change(handlers.browse, choice, entry, show_progress="hidden", api_visibility="private")


def _library_tab(handlers: Page, bar: gr.HTML) -> None:
    button = gr.Button("Index again", variant="primary", elem_id="reindex")
    done = gr.HTML(elem_id="indexed", js_on_load=None, min_height=60)
    state = gr.HTML(handlers.library, elem_id="library", js_on_load=None)
    button.click(handlers.index, None, [done, state, bar], show_progress_on=[done], api_visibility="private")


def _api(asker: Asker) -> None:
    """Offer the same answer as JSON to scripts: one function, the object of the batch contract."""

    def ask(query: str) -> dict[str, object]:
        """Answer one question, error or log; returns the JSON object of the batch contract."""
        return render.as_json("1", answer_turns(asker, [query]))

    gr.api(ask, api_name="ask")


def serve(oomph: Oomph, block: bool = True) -> gr.Blocks:
    """Serve the page until it is stopped (or, with `block=False`, in the background)."""
    settings = oomph.settings
    oomph.warm_up()
    blocks = page(oomph)
    try:
        blocks.queue().launch(
            server_name=settings.host,
            server_port=settings.port,
            auth=("oomph", settings.password) if settings.password else None,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            theme=gr.themes.Base(
                font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], primary_hue="orange"
            ),
            css=(HERE / "style.css").read_text(encoding="utf-8"),
            head=f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>",
        )
    except OSError as fault:  # what gradio says for a port that is taken, and for an address that is not ours
        raise BadInput(
            f"{settings.host}:{settings.port} cannot be listened on: it is taken, or no address of this machine.",
            "Pass another --port or --host.",
        ) from fault
    print(f"oomph is open at http://{settings.host}:{settings.port}", flush=True)  # noqa: T201 - the one line a person waits for
    if block:
        blocks.block_thread()
    return blocks
