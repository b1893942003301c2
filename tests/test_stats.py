from datetime import date

import pytest

from kb.entry import Source
from kb.facts import read_facts
from kb.read import read_knowledge
from kb.stats import report, source_kind


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://github.com/ollama/ollama/blob/main/docs/faq.mdx", "documentation"),
        ("https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/README.md", "documentation"),
        ("https://github.com/ggml-org/llama.cpp/blob/master/src/llama-mmap.cpp", "source code"),
        ("https://github.com/pytorch/pytorch/issues/1234", "thread of the maintainers"),
        ("https://forums.developer.nvidia.com/t/gpu-lost/1", "thread of the maintainers"),
        ("https://arxiv.org/abs/1706.03762", "paper"),
        ("https://docs.nvidia.com/deploy/xid-errors/index.html", "documentation"),
    ],
)
def test_a_source_is_told_by_its_address(url, kind):
    assert source_kind(Source(title="a page", url=url, read=date(2026, 11, 20))) == kind


def test_the_figures_are_counted(kettle):
    lines = list(report(read_knowledge(kettle), read_facts(kettle)))
    assert "      2  errors" in lines and "      2  terms" in lines and "      1  forks" in lines
    assert any("100.0%" in line for line in lines)
