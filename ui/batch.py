"""Many questions in one process: JSON lines in, JSON lines out, a broken line answered like any other."""

import json
import threading
from pathlib import Path
from typing import Any

from kb.failures import BadInput, Failure
from rag.answer import Answer, Card
from rag.ask import Asker
from ui.render import as_json


def answer_all(asker: Asker, source: Path, target: Path) -> int:
    """Answer every line of `source` into `target`, which appears when all are answered; return how many.

    :raises BadInput: where the source cannot be read or the target cannot be written.
    """
    aside = target.with_name(f"{target.name}.part")
    try:
        with (
            source.open(encoding="utf-8-sig", errors="replace") as questions,
            aside.open("w", encoding="utf-8", errors="replace") as answers,
        ):
            count = 0
            for number, line in enumerate(questions, 1):
                if line.strip():
                    answers.write(json.dumps(answer_line(asker, line, number), ensure_ascii=False) + "\n")
                    count += 1
        aside.replace(target)
        return count
    except OSError as fault:
        raise BadInput(f"{fault.filename} cannot be opened ({fault.strerror}).", "Check the path.") from fault


def answer_line(asker: Asker, line: str, number: int) -> dict[str, object]:
    """Answer one line; what cannot be read is an abstention that says why."""
    identity: object = number
    try:
        asked = _parsed(line, number)
        identity = asked.get("id", number)
        return as_json(identity, answer_turns(asker, _turns(asked, number)))
    except Failure as failure:
        return as_json(identity, _refusal(str(failure)))


def answer_turns(asker: Asker, turns: list[str]) -> Answer:
    """Answer the last turn, explanation included where there is a model."""
    question, answer = asker.ask(turns)
    for fuller in asker.explain(question, answer, threading.Event()):
        answer = fuller
    return answer


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as fault:  # also an integer of thousands of digits, or brackets without end
        raise BadInput(f"Line {number} is no JSON that can be read.", 'Write {"id": …, "query": …}.') from fault
    if not isinstance(asked, dict):
        raise BadInput(f"Line {number} is no object.", 'Write {"id": …, "query": …}.')
    return asked


def _turns(asked: dict[str, Any], number: int) -> list[str]:
    """Return what was said, the last being the question; a turn may also be an object with "content"."""
    turns = asked.get("turns", [asked.get("query")])
    listed = turns if isinstance(turns, list) else []
    said = [turn.get("content") if isinstance(turn, dict) else turn for turn in listed]
    words = [turn for turn in said if isinstance(turn, str)]
    if not words or len(words) < len(said):
        raise BadInput(f"Line {number} has no query.", 'Write {"id": …, "query": …} or {"id": …, "turns": [ … ]}.')
    return words


def _refusal(why: str) -> Answer:
    return Answer("abstain", 0.0, Card(why, (), ()), (), ())
