"""The question's journey: read → retrieve → decide → card, and then, where a model is loaded, write → check."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from index.embed import Encoder
from index.generation import Generation
from kb.entry import Fork, Option
from kb.failures import BadInput, ModelFailure
from rag import prompt
from rag.answer import Answer, Candidate, ForkQuestion, Hints, Question, Times
from rag.card import compose
from rag.cite import check
from rag.decide import decide
from rag.question import read
from rag.retrieve import Match, retrieve
from rag.write import Writer

MAX_CANDIDATES = 10
SHORT = 12  # words; a later turn this short leans on the turns before it


@dataclass(frozen=True)
class Asker:
    """Answers questions from the generation that serves; knows no files and no pages."""

    generation: Callable[[], Generation]  # the one that serves now
    encoder: Encoder
    writer: Writer | None = None

    def ask(self, turns: Sequence[str]) -> tuple[Question, Answer]:
        """Answer the last of `turns` by a card, without any model.

        :raises BadInput: where there is nothing to read.
        :raises IndexFailure: where the index cannot serve.
        """
        started = time.perf_counter()
        if not turns:
            raise BadInput("There is no question.", "Ask one.")
        generation = self.generation()
        question = with_earlier(turns)
        read_at = time.perf_counter()
        matches = retrieve(question, generation, self.encoder)
        chosen = _chosen(turns, matches, generation)
        verdict = decide(question, matches, generation, chosen)
        retrieved_at = time.perf_counter()
        card, citations = compose(verdict, question, matches, generation)
        asked = (
            ForkQuestion(verdict.fork.question, tuple(option.label for option in verdict.fork.options))
            if verdict.fork
            else None
        )
        winner = verdict.entry or verdict.fork
        candidates = _candidates(matches, generation, winner.id if winner else None)
        done = time.perf_counter()
        ms = Times(
            *(
                round(1000 * span, 1)
                for span in (read_at - started, retrieved_at - read_at, done - started, done - started)
            )
        )
        return question, Answer(
            verdict.decision, round(verdict.confidence, 3), card, citations, candidates, asked, ms=ms
        )

    def explain(self, question: Question, answer: Answer, stop: threading.Event) -> Iterator[Answer]:
        """Yield `answer` with a growing explanation, each sentence checked; without evidence or a model, nothing."""
        if self.writer is None or answer.decision != "answer":
            return
        started = time.perf_counter()
        written = ""
        try:
            for piece in self.writer.write(prompt.messages(question, answer), stop):
                written += piece
                yield _explained(answer, written, self.writer.name, started, finished=False)
        except ModelFailure as failure:
            yield replace(answer, notice=str(failure))
            return
        yield _explained(answer, written, self.writer.name, started, finished=True)


def _explained(answer: Answer, written: str, writer: str, started: float, finished: bool) -> Answer:
    sentences = check(written, answer.citations, answer.card.facts, finished)
    notice = "" if sentences or not finished else "The model wrote nothing that can be used; the card is the answer."
    total = round(answer.ms.first + 1000 * (time.perf_counter() - started), 1)
    return replace(answer, explanation=sentences, writer=writer, notice=notice, ms=replace(answer.ms, total=total))


def with_earlier(turns: Sequence[str]) -> Question:
    """Read the last turn; a short one without an error of its own is searched together with the turn before it."""
    question = read(turns[-1])
    if len(turns) == 1:
        return question
    earlier = read(turns[-2]) if turns[-2].strip() else question
    hints: Hints = question.hints | earlier.hints
    if question.errors or len(question.words.split()) > SHORT or question.is_log:
        return replace(question, hints=hints)
    return replace(
        question,
        lines=(*question.lines, *earlier.lines),
        words=f"{question.words}\n{earlier.words}",
        said=question.words,
        hints=hints,
        is_log=earlier.is_log,
    )


def _chosen(turns: Sequence[str], matches: list[Match], generation: Generation) -> Option | None:
    """Return the option of a fork that the last turn names word for word, after an earlier turn."""
    if len(turns) < 2:
        return None
    said = turns[-1].strip().casefold()
    for match in matches:
        entry = generation.entries[match.entry]
        if isinstance(entry, Fork):
            for option in entry.options:
                if option.label.casefold() == said:
                    return option
    return None


def _candidates(matches: list[Match], generation: Generation, winner: str | None) -> tuple[Candidate, ...]:
    """Return the best matches, what was decided for at the head; scores as shares of the best."""
    best = matches[0].score if matches else 0.0
    scores = {match.entry: max(0.0, match.score / best) if best > 0 else 0.0 for match in matches}
    order = [match.entry for match in matches]
    if winner:
        order = [winner, *(key for key in order if key != winner)]
        scores[winner] = 1.0
    return tuple(
        Candidate(key, entry.title, entry.aliases, entry.signatures, round(scores[key], 3))
        for key in order[:MAX_CANDIDATES]
        for entry in [generation.entries[key]]
    )
