import pytest

from kb.facts import Gpu, Model, read_facts
from kb.read import BUILT_IN

SOURCES = 'sources:\n  page: {title: "Page", url: "https://example.org/", read: 2026-11-20}\n'
CARD = "{id: k-1, name: Kettle 1, vendor: nvidia, architecture: Steam, year: 2020, memory_gib: 8, bandwidth_gb_s: 256, sources: [page]}"
SHAPE = {
    "id": "tea-8b",
    "name": "Tea 8B",
    "sources": ("page",),
    "repository": "tea/tea-8b",
    "parameters": 8_030_261_248,
    "layers": 32,
    "hidden_size": 4096,
    "heads": 32,
    "kv_heads": 8,
    "head_size": 128,
    "feed_forward": 14336,
    "vocabulary": 128256,
    "context": 131072,
    "tied": False,
}


def facts_of(tmp_path, text):
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "one.yaml").write_text(text)
    return read_facts(tmp_path)


def test_the_built_in_facts_have_no_problems_and_are_many():
    facts = read_facts(BUILT_IN)
    assert [str(problem) for problem in facts.problems] == []
    assert len(facts.gpus) >= 80 and len(facts.models) >= 80
    assert {gpu.vendor for gpu in facts.gpus.values()} == {"nvidia", "amd", "intel", "apple"}


def test_every_nvidia_and_amd_card_says_what_a_build_is_made_for():
    for gpu in read_facts(BUILT_IN).gpus.values():
        if gpu.vendor == "nvidia":
            major, minor = str(gpu.target).split(".")
            assert 5 <= int(major) <= 12 and minor.isdecimal(), gpu.name
        if gpu.vendor == "amd":
            assert str(gpu.target).startswith("gfx"), gpu.name


def test_the_shape_of_a_dense_model_comes_to_its_parameters():
    model = Model.model_validate(SHAPE)
    assert model.computed_parameters == pytest.approx(model.parameters, rel=0.001)


def test_the_cache_is_two_numbers_for_each_layer_and_each_head_of_keys():
    model = Model.model_validate(SHAPE)
    assert model.kv_bytes(1) == 2 * 32 * 8 * 128 * 2 == 128 * 1024
    assert model.kv_bytes(8192) == 2**30
    assert model.kv_bytes(8192, bytes_per_number=1) == 2**29


def test_layers_that_slide_a_window_keep_no_more_than_that():
    model = Model.model_validate({**SHAPE, "kv_layers": 8, "sliding_window": 1024})
    per_layer = 2 * 8 * 128 * 2
    assert model.kv_bytes(512) == 512 * 32 * per_layer
    assert model.kv_bytes(4096) == (4096 * 8 + 1024 * 24) * per_layer


def test_a_compressed_cache_keeps_one_entry_for_each_layer():
    model = Model.model_validate({**SHAPE, "latent": 576})
    assert model.kv_bytes(1) == 32 * 576 * 2


def test_memory_bandwidth_bounds_the_tokens_per_second():
    card = Gpu(id="k", name="Kettle", vendor="amd", architecture="Steam", year=2020, memory_gib=8, bandwidth_gb_s=256, sources=("page",))  # fmt: skip
    model = Model.model_validate(SHAPE)
    assert card.tokens_per_second(model.weights_bytes(8)) == pytest.approx(256e9 / 8_030_261_248)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{SOURCES}gpus:\n  - {CARD.replace('8, band', '0, band')}\n", 4, "greater than 0"),
        (f"{SOURCES}gpus:\n  - {CARD.replace('page]', 'book]')}\n  - {CARD.replace('k-1', 'k-2')}\n", 4, "there is no source book"),
        (f"{SOURCES}gpus:\n  - {CARD}\n  - {CARD}\n", 5, "stands here twice"),
        (f"{SOURCES}gpus:\n  - {CARD.replace('year', 'yeer')}\n", 4, "Field required"),
        (f"{SOURCES}gpus: []\n", 2, "source page is never cited"),
        (f"{SOURCES}cpus: []\n", 3, "is not one of sources, gpus, models"),
        ("gpus: [\n", 2, "front matter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, line, said):
    problems = facts_of(tmp_path, text).problems
    assert any(said in problem.message and problem.line == line for problem in problems), problems


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": 7_000_000_000}, "the shape comes to 8,0"),
        ({"kv_heads": 7}, "cannot share 7"),
        ({"experts": 8}, "go together"),
        ({"kv_layers": 33}, "of 32 layers"),
    ],
)
def test_a_model_that_contradicts_itself_is_a_problem(tmp_path, change, said):
    fields = {**SHAPE, "sources": ["page"], **change}
    item = (
        "{"
        + ", ".join(f"{key}: {str(value).lower() if value is False else value}" for key, value in fields.items())
        + "}"
    )
    problems = facts_of(tmp_path, f"{SOURCES}models:\n  - {item.replace(chr(39), '')}\n").problems
    assert any(said in problem.message for problem in problems), problems


def test_one_broken_card_takes_no_other_down(tmp_path):
    facts = facts_of(tmp_path, f"{SOURCES}gpus:\n  - {{id: x}}\n  - {CARD}\n")
    assert list(facts.gpus) == ["k-1"] and facts.problems


def test_facts_are_found_by_parts_of_their_names(tmp_path):
    facts = facts_of(
        tmp_path,
        f"{SOURCES}gpus:\n  - {CARD}\n  - {CARD.replace('k-1', 'k-2').replace('Kettle 1', 'Kettle 1 Super')}\n",
    )
    assert [fact.id for fact in facts.find("kettle SUPER")] == ["k-2"]
    assert len(facts.find("")) == 2 and facts.find("pot") == []


@pytest.mark.parametrize(
    ("words", "first"),
    [("phi 4", "phi-4"), ("7900xtx", "rx-7900-xtx"), ("RTX 4090", "rtx-4090"), ("llama3.1 8b", "llama-3-1-8b"), ("qwen3 30b a3b", "qwen3-30b-a3b")],
)  # fmt: skip
def test_what_people_type_finds_the_fact(words, first):
    assert read_facts(BUILT_IN).find(words)[0].id.startswith(first)


def test_a_fact_of_your_own_replaces_ours_and_no_source_is_taken_for_another(tmp_path):
    ours, yours = tmp_path / "ours", tmp_path / "yours"
    ours.mkdir(), yours.mkdir()
    facts_of(ours, f"{SOURCES}gpus:\n  - {CARD}\n")
    mine = SOURCES.replace("page:", "mine:").replace("example.org", "mine.example.org")
    facts_of(yours, f"{mine}gpus:\n  - {CARD.replace('[page]', '[mine]').replace('256', '300')}\n")
    facts = read_facts(ours, yours)
    assert facts.problems == () and facts.gpus["k-1"].bandwidth_gb_s == 300
    (yours / "facts" / "one.yaml").write_text(
        f"{SOURCES.replace('example.org', 'mine.example.org')}gpus:\n  - {CARD}\n"
    )
    facts = read_facts(ours, yours)
    assert [problem.message for problem in facts.problems] == ["source page is also the key of another file's"]
    assert facts.sources["page"].url == "https://example.org/"
    (yours / "facts" / "one.yaml").write_text(f"{mine}gpus:\n" + f"  - {CARD.replace('[page]', '[mine]')}\n" * 2)
    assert [problem.message for problem in read_facts(ours, yours).problems] == ["k-1 stands here twice"]
