import re

import pytest

from index.signatures import MAX_HITS, Signatures, wrapped
from kb.read import BUILT_IN, read_knowledge

TEMPLATES = [
    ("CUDA out of memory. Tried to allocate {size}", "oom"),
    ("CUDA out of memory", "oom-short"),
    ("not compiled with CUDA enabled", "cpu-build"),
    ("{pct}/{pct} CPU/GPU", "split"),
]


def test_a_hit_names_the_entry_the_line_and_the_values():
    hits = Signatures(TEMPLATES).find(
        ["loading", "RuntimeError: CUDA out of memory. Tried to allocate 1.27 GiB (GPU 0)"]
    )
    assert {(hit.entry, hit.line) for hit in hits} == {("oom", 1), ("oom-short", 1)}
    assert next(hit for hit in hits if hit.entry == "oom").values == ("1.27 GiB",)


def test_a_longer_signature_weighs_more():
    hits = Signatures(TEMPLATES).find(["CUDA out of memory. Tried to allocate 1.27 GiB"])
    assert max(hits, key=lambda hit: hit.weight).entry == "oom"


def test_a_message_that_was_wrapped_is_found():
    hits = Signatures(TEMPLATES).find(["AssertionError: Torch not compiled with", "   CUDA enabled"])
    assert [(hit.entry, hit.line) for hit in hits] == [("cpu-build", 0)]


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_a_message_cut_at_a_width_is_found_even_where_words_were_cut(columns):
    message = (
        "RuntimeError: while serving this request the worker said CUDA out of memory. Tried to allocate 1.27 GiB on it"
    )
    lines = [message[start : start + columns].rstrip() for start in range(0, len(message), columns)]
    assert "oom" in {hit.entry for hit in Signatures(TEMPLATES).find(["before it", "", *lines, "after"])}


def test_a_hit_in_a_line_alone_is_not_sought_again_in_the_lines_around_it():
    hits = Signatures(TEMPLATES).find(["start", "Torch not compiled with CUDA enabled", "end"])
    assert [(hit.line, hit.start) for hit in hits] == [(1, 6)]


def test_a_failure_that_repeats_is_reported_a_few_times_only():
    lines = [f"CUDA out of memory. Tried to allocate {number}.27 GiB" for number in range(1_000)]
    hits = Signatures(TEMPLATES).find([*lines, "Torch not compiled with CUDA enabled"])
    assert len(hits) == 2 * MAX_HITS + 1 and hits[0].line == 0 and hits[-1].line == 1_000


def test_near_misses_by_the_thousand_do_not_hide_a_hit():
    lines = [f"memory {number} of CUDA is out of reach" for number in range(1_000)]
    assert {hit.line for hit in Signatures(TEMPLATES).find([*lines, "CUDA out of memory"])} == {1_000}


def test_a_message_ends_where_the_next_begins_or_lines_are_no_longer_alike():
    first = "RuntimeError: the first message, which is wrapped"
    assert wrapped([first, "ValueError: the second"], 0) == [first]
    assert wrapped([first, "ends here", "an unrelated line of the same log"], 0) == [first, "ends here"]


def test_near_misses_do_not_hit():
    assert Signatures(TEMPLATES).find(["Java heap out of memory", "compiled with CUDA enabled", "100% CPU"]) == []


def test_every_signature_of_the_knowledge_base_finds_its_own_example():
    from kb.read import BUILT_IN, read_knowledge
    from kb.template import holes

    examples = {
        "size": "1.27 GiB",
        "n": "42",
        "pct": "48%",
        "version": "12.4",
        "hex": "0x1f",
        "path": "/tmp/x",
        "name": "cuda:0",
        "any": "whatever",
    }
    entries = read_knowledge(BUILT_IN).entries.values()
    pairs = [(signature, entry.id) for entry in entries for signature in entry.signatures]
    matcher = Signatures(pairs)
    for signature, entry in pairs:
        line = signature
        for hole in holes(signature):
            line = line.replace(f"{{{hole}}}", examples[hole], 1)
        assert entry in {hit.entry for hit in matcher.find([f"2026 ERROR: {line} (and more)"])}, signature


VALUES = {"size": "1.27 GiB", "n": "12", "pct": "48%", "version": "2.13.0", "hex": "0x7f3a", "path": "/a/b.gguf", "name": "cuda0", "any": "foo"}  # fmt: skip


@pytest.mark.parametrize("before", ["", "ModuleNotFoundError: ", "RuntimeError: "])
def test_no_entry_of_ours_loses_its_own_message_to_another(before):
    """What a message fits best is its own entry; where another is as near, a fork knows both."""
    knowledge = read_knowledge(BUILT_IN)
    matcher = Signatures((one, entry.id) for entry in knowledge.entries.values() for one in entry.signatures)
    lost = []
    for entry in knowledge.errors:
        sharers = {one.entry for fork in knowledge.forks for one in fork.options if entry.id in {o.entry for o in fork.options}}  # fmt: skip
        for signature in entry.signatures:
            hits = matcher.find((before + re.sub(r"\{(\w+)\}", lambda hole: VALUES[hole[1]], signature),))
            own = max((hit.weight for hit in hits if hit.entry == entry.id), default=-1.0)
            rivals = {hit.entry for hit in hits if hit.weight > own} - sharers - {fork.id for fork in knowledge.forks}
            if own < 0 or rivals:
                lost.append((entry.id, signature, rivals))
    assert lost == []
