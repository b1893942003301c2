"""What the knowledge base holds, in figures: counts by kind, category and tool, sources by kind, dates."""

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from kb.entry import Source
from kb.facts import Facts
from kb.read import Knowledge

_PROSE = re.compile(r"\.(?:md|mdx|rst|txt|adoc|ipynb)$|/(?:docs?|README[^/]*|LICEN[CS]E[^/]*)(?:/|$)", re.IGNORECASE)
_THREAD = re.compile(r"/(?:issues|pull|discussions|-/issues)/|^/t/")
_CODE_HOSTS = ("github.com", "gitlab.com", "git.kernel.org", "code.videolan.org")
_PAPERS = ("arxiv.org", "aclanthology.org", "openreview.net", "proceedings.neurips.cc", "papers.nips.cc", "doi.org")


def source_kind(source: Source) -> str:
    """Return what a source is, by its address: documentation, source code, a maintainers' thread, or a paper."""
    address = urlsplit(source.url)
    host = address.hostname or ""
    if host.endswith(_PAPERS):
        return "paper"
    if _THREAD.search(address.path):
        return "thread of the maintainers"
    if host.endswith(_CODE_HOSTS) and re.search(r"/(?:blob|tree|raw)/", address.path):
        return "documentation" if _PROSE.search(address.path) else "source code"
    return "documentation"


def report(knowledge: Knowledge, facts: Facts) -> Iterator[str]:
    """Yield the figures as lines of text, a table a part."""
    causes = [cause for entry in knowledge.errors for cause in entry.causes]
    told = sum(1 for cause in causes if cause.tell)
    sources = [source for entry in knowledge.entries.values() for source in entry.sources.values()]
    links = sum(len(entry.related) + len(entry.terms) for entry in knowledge.errors)
    links += sum(len(term.related) + len(term.errors) + len(term.confused_with) for term in knowledge.terms)
    yield from _table(
        "kind",
        {
            "errors": len(knowledge.errors),
            "terms": len(knowledge.terms),
            "forks": len(knowledge.forks),
            "GPUs": len(facts.gpus),
            "models": len(facts.models),
        },
    )
    yield from _table("terms by category", Counter(term.category for term in knowledge.terms))
    yield from _table("errors by tool", Counter(tool for entry in knowledge.errors for tool in entry.tools))
    yield from _table("errors by phase", Counter(phase for entry in knowledge.errors for phase in entry.phases))
    yield from _table("sources by kind", Counter(map(source_kind, [*sources, *facts.sources.values()])))
    yield from _table("entries by date verified", Counter(str(entry.verified) for entry in knowledge.entries.values()))
    yield "the rest"
    signatures = sum(len(entry.signatures) for entry in knowledge.errors)
    aliases = sum(len(entry.aliases) for entry in knowledge.entries.values())
    yield f"  signatures {signatures}, aliases {aliases}, links {links}"
    share = told / len(causes) if causes else 1.0
    yield f"  causes {len(causes)}, of which {told} have a Tell ({share:.1%})"


def _table(title: str, counts: dict[str, int] | Counter[str]) -> Iterator[str]:
    """Yield a heading and a line for each count, the largest first."""
    yield title
    for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield f"  {count:>5}  {name}"
