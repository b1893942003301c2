import yaml

from kb.read import BUILT_IN, read_knowledge
from scripts.coverage import PAGE, TOPICS, page


def test_every_topic_has_an_entry_and_the_page_is_up_to_date():
    topics = yaml.safe_load(TOPICS.read_text())
    assert all(ids for sections in topics.values() for covered in sections.values() for ids in covered.values())
    assert PAGE.read_text() == page(topics, read_knowledge(BUILT_IN)), "run: python -m scripts.coverage"
