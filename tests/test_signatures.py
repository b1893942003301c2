from index.signatures import Signatures

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
