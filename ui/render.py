"""Answer → Markdown, HTML, JSON, terminal. Pure; everything that came from outside is escaped, then sanitised."""

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

import nh3
from markdown_it import MarkdownIt

from kb.commands import is_destructive
from kb.entry import plain
from rag.answer import Answer, Block, Citation, Item, Links, Sentence
from rag.card import HOW_TO_ASK

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_ALLOWED = {
    *(
        "article",
        "section",
        "div",
        "p",
        "span",
        "h2",
        "h3",
        "h4",
        "ul",
        "ol",
        "li",
        "strong",
        "em",
        "b",
        "i",
        "sup",
        "br",
        "hr",
    ),
    *(
        "a",
        "code",
        "pre",
        "blockquote",
        "mark",
        "details",
        "summary",
        "button",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ),
}
_ATTRIBUTES = {
    "*": {"class", "data-turn", "data-n", "data-say", "data-entry", "title", "role", "aria-label", "tabindex"},
    "a": {"href", "target"},
    "details": {"open"},
    "ol": {"start"},
    "button": {"type"},
}
_VERDICTS = {
    "unsupported": "not in the sources",
    "command": "names something that stands in no source; do not run it",
    "number": "has a number that stands in no source",
    "pending": "",
    "supported": "",
}
_DANGER = "Deletes data, ends programs or changes the installation: read it before you run it."


def sanitised(html: str) -> str:
    """Return `html` with nothing but known tags and attributes and http(s) links."""
    return nh3.clean(
        html, tags=_ALLOWED, attributes=_ATTRIBUTES, url_schemes={"http", "https"}, link_rel="noopener noreferrer"
    )


# Markdown


def text(answer: Answer) -> str:
    """Return the answer as Markdown, each statement with its number."""
    card = answer.card
    parts = [f"## {card.title}"]
    if card.line:
        parts.append(_as_code(card.line))
    parts += card.facts
    parts += [_numbered(item) for item in card.lead]
    if answer.question:
        parts.append(f"**{answer.question.text}**")
    causes = 0
    for block in card.blocks:
        causes += block.kind == "cause"
        parts.append(f"### {f'{causes}. ' if block.kind == 'cause' else ''}{block.title}")
        parts += _block_text(block.items)
    if card.others:
        parts.append(_left_out(card.others))
    parts += [f"**{links.label}:** " + " · ".join(title for title, _ in links.entries) for links in card.links]
    if answer.candidates and answer.decision == "abstain":
        parts.insert(1, how_to_ask(answer))
    if answer.explanation or answer.notice:
        parts.append(explanation_text(answer))
    return "\n\n".join(parts)


def explanation_text(answer: Answer) -> str:
    """Return what the model wrote as Markdown, each sentence with its numbers or with what is wrong with it."""
    parts = []
    if answer.explanation:
        parts += [
            f"### In your case, by {answer.writer}",
            " ".join(_sentence_text(sentence) for sentence in answer.explanation),
        ]
    if answer.notice:
        parts.append(f"*{answer.notice}*")
    return "\n\n".join(parts)


def _as_code(line: str) -> str:
    """Return a line of somebody's log as code, so that nothing in it is Markdown."""
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    return f"{ticks} {line} {ticks}" if len(ticks) > 1 else f"`{line}`"


def how_to_ask(answer: Answer) -> str:
    """Return what would help to know more, and what the blocks below are."""
    return HOW_TO_ASK + (" The nearest entries are these:" if answer.card.blocks else "")


def _numbered(item: Item) -> str:
    """Put the item's number behind its last sentence, or below its code block."""
    return f"{item.markdown}\n[{item.n}]" if item.markdown.endswith("```") else f"{item.markdown} [{item.n}]"


def _block_text(items: Sequence[Item]) -> list[str]:
    parts, label, step = [], "", 0
    for item in items:
        head = f"**{item.label.capitalize()}:** " if item.label and item.label != label else ""
        if item.label != label:
            label, step = item.label, 0
        if item.step or item.bullet:
            step += item.step
            body = _numbered(item).replace("\n", "\n   ")
            parts.append((f"{head.strip()}\n\n" if head else "") + (f"{step}. {body}" if item.step else f"- {body}"))
        else:
            joint = "\n\n" if head and item.markdown.startswith("```") else ""
            parts.append(head + joint + _numbered(item))
    return parts


def _sentence_text(sentence: Sentence) -> str:
    marks = "".join(f" [{n}]" for n in sentence.cites)
    note = _VERDICTS[sentence.verdict]
    return f"{_uncoded(sentence)}{marks}{f' ({note})' if note else ''}"


def _uncoded(sentence: Sentence) -> str:
    """Return a sentence; what stands in no source is not set as code."""
    return re.sub(r"```[^\n]*\n?|`", "", sentence.text) if sentence.verdict in ("command", "pending") else sentence.text


def _left_out(others: int) -> str:
    return f"{others} more {'cause' if others == 1 else 'causes'} of other platforms or graphics cards left out."


def for_terminal(answer: Answer) -> str:
    """Return the Markdown of an answer with its sources below, each page once."""
    pages: dict[tuple[str, str], list[int]] = {}
    shown = text(answer)
    for citation in answer.citations:
        for source in citation.sources:
            pages.setdefault((source.title, source.url), []).append(citation.n)
    if not pages:
        return shown
    lines = [f"{''.join(f'[{n}]' for n in numbers)} {title}: {url}" for (title, url), numbers in pages.items()]
    return shown + "\n\n### Sources\n\n" + "\n".join(lines)


# HTML


def html(answer: Answer, turn: int = 0) -> str:
    """Return the card (and the explanation, if there is one) as sanitised HTML."""
    return card_html(answer, turn) + explanation_html(answer, turn)


def card_html(answer: Answer, turn: int = 0) -> str:
    """Return the card as sanitised HTML; `turn` ties its citations to the sources of the same turn."""
    card = answer.card
    parts = [f'<article class="card {answer.decision}"><h2>{escape(card.title)}</h2>']
    if card.line:
        parts.append(
            f'<p class="line" title="the line of your log that decided"><code>{escape(card.line[:400])}</code></p>'
        )
    parts += [f'<p class="fact">{escape(fact)}</p>' for fact in card.facts]
    if answer.candidates and answer.decision == "abstain":
        parts.append(f"<p>{escape(how_to_ask(answer))}</p>")
    parts.append(_items_html(card.lead, turn))
    if answer.question:
        parts.append(f'<p class="asks"><strong>{escape(answer.question.text)}</strong></p>')
    causes = 0
    for block in card.blocks:
        causes += block.kind == "cause"
        parts.append(_block_html(block, causes, turn))
    if card.others:
        parts.append(f'<p class="aside">{_left_out(card.others)}</p>')
    parts += [_links_html(links) for links in card.links]
    parts.append("</article>")
    return sanitised("".join(parts))


def _block_html(block: Block, number: int, turn: int) -> str:
    if block.kind == "option":
        title = escape(block.title, quote=True)
        button = f'<button type="button" class="option" data-say="{title}">{title}</button>'
        return f'<div class="option">{button}{"".join(_item_html(item, turn) for item in block.items)}</div>'
    head = f'<span class="number">{number}</span> ' if block.kind == "cause" else ""
    opened = " open" if block.open else ""
    return (
        f'<details class="{block.kind}"{opened}><summary>{head}{escape(block.title)}</summary>'
        f"{_items_html(block.items, turn)}</details>"
    )


def _links_html(links: Links) -> str:
    """Return the titles of other entries as buttons that ask for them."""
    buttons = " ".join(
        f'<button type="button" class="link" data-say="{escape(question, quote=True)}">{escape(title)}</button>'
        for title, question in links.entries
    )
    return f'<p class="links"><span>{escape(links.label)}</span> {buttons}</p>'


def _items_html(items: Sequence[Item], turn: int) -> str:
    """Return the items; steps and bullets as lists below each label."""
    parts, label = [], ""
    for (own, tag), group in groupby(items, key=lambda item: (item.label, _list_tag(item))):
        if own != label:
            label = own
            parts.append(f'<p class="label {label}">{label.capitalize()}</p>')
        bodies = [_item_html(item, turn) for item in group]
        parts.append(f"<{tag}>{''.join(f'<li>{body}</li>' for body in bodies)}</{tag}>" if tag else "".join(bodies))
    return "".join(parts)


def _list_tag(item: Item) -> str:
    return "ol" if item.step else "ul" if item.bullet else ""


def _item_html(item: Item, turn: int) -> str:
    body = _MARKDOWN.render(item.markdown).strip()
    danger = f'<p class="danger">⚠ {_DANGER}</p>' if _dangerous(item.markdown) else ""
    mark = cite_html(item.n, turn)
    body = body[: -len("</p>")] + mark + "</p>" if body.endswith("</p>") else f"{body}<p>{mark}</p>"
    return danger + body


def _dangerous(markdown: str) -> bool:
    return any(is_destructive(code) for code in re.findall(r"```.*?```|`[^`]+`", markdown, re.DOTALL))


def cite_html(n: int, turn: int) -> str:
    """Return the mark of citation `n`: a button that opens its passage."""
    place = f'data-turn="{turn}" data-n="{n}"'
    return f'<sup class="cite" role="button" tabindex="0" {place} aria-label="source {n}">{n}</sup>'


def explanation_html(answer: Answer, turn: int = 0) -> str:
    """Return what the model wrote, each sentence with its numbers or with what is wrong with it."""
    if not answer.explanation and not answer.notice:
        return ""
    parts = ['<article class="explanation">']
    if answer.explanation:
        parts.append(
            f"<h3>In your case <span>by {escape(answer.writer)}, each sentence checked against the sources</span></h3>"
        )
        parts += [_sentence_html(sentence, turn) for sentence in answer.explanation]
    if answer.notice:
        parts.append(f'<p class="notice">{escape(answer.notice)}</p>')
    return sanitised("".join(parts) + "</article>")


def _sentence_html(sentence: Sentence, turn: int) -> str:
    note = _VERDICTS[sentence.verdict]
    # Only what a source says is set as code; all else stays plain, unformatted text.
    trusted = sentence.verdict == "supported"
    body = (
        _MARKDOWN.renderInline(sentence.text) if trusted and "```" not in sentence.text else escape(_uncoded(sentence))
    )
    if trusted and "```" in sentence.text:
        body = _MARKDOWN.render(sentence.text)
    marks = "".join(cite_html(n, turn) for n in sentence.cites)
    return f'<p class="{sentence.verdict}">{body}{marks}{f" <em>({note})</em>" if note else ""}</p>'


def sources_html(citations: Sequence[Citation], turn: int = 0) -> str:
    """Return the evidence: for each number the passage with the quoted words marked, and its official pages."""
    parts = [f'<section class="sources" data-turn="{turn}">']
    above = ""
    for citation in citations:
        place = f"{citation.title} · {citation.section}"
        if place != above:
            parts.append(f"<h4>{escape(place)}</h4>")
            above = place
        before = citation.passage[: citation.start - citation.passage_start]
        after = citation.passage[citation.end - citation.passage_start :]
        passage = (
            f"{escape(_readable(before))}<mark>{escape(_readable(citation.quote))}</mark>{escape(_readable(after))}"
        )
        of = "" if citation.direct else '<p class="aside">Sources of this section:</p>'
        links = of * bool(citation.sources) + "".join(
            f'<a href="{escape(source.url, quote=True)}" target="_blank">{escape(source.title)} ↗</a>'
            for source in citation.sources
        )
        start = " ".join(_readable(citation.quote).replace("`", "").split())[:70]
        parts.append(
            f'<details class="source" data-turn="{turn}" data-n="{citation.n}">'
            f'<summary><span class="number">{citation.n}</span> '
            f"{escape(start)} …</summary><blockquote>{passage}</blockquote>{links}</details>"
        )
    return sanitised("".join(parts) + "</section>")


def _readable(markdown: str) -> str:
    text = plain(markdown).replace("**Tell:**", "Tell:").replace("**Fix:**", "Fix:")
    return re.sub(r"[ \t]*```\w*\n?", "", text).replace("`", "")


# JSON


def as_json(identity: object, answer: Answer) -> dict[str, object]:
    """Return the answer as one object of the batch contract (docs/contract.md)."""
    return {
        "id": identity,
        "answered": answer.decision != "abstain",
        "decision": answer.decision,
        "confidence": answer.confidence,
        "text": text(answer),
        "html": html(answer),
        "citations": [
            {
                "n": citation.n,
                "entry": citation.entry,
                "title": citation.title,
                "aliases": list(citation.aliases),
                "signatures": list(citation.signatures),
                "section": citation.section,
                "quote": plain(citation.quote),
                "sources": [{"title": source.title, "url": source.url} for source in citation.sources],
            }
            for citation in answer.citations
        ],
        "candidates": [
            {
                "entry": candidate.entry,
                "title": candidate.title,
                "aliases": list(candidate.aliases),
                "signatures": list(candidate.signatures),
                "score": candidate.score,
            }
            for candidate in answer.candidates
        ],
        "question": {"text": answer.question.text, "options": list(answer.question.options)}
        if answer.question
        else None,
        "writer": answer.writer,
        "ms": {
            "read": answer.ms.read,
            "retrieve": answer.ms.retrieve,
            "first": answer.ms.first,
            "total": answer.ms.total,
        },
    }
