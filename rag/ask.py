"""The question's journey: read → retrieve → decide → card, and then, where a model is loaded, write → check."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from index.embed import Encoder
from index.generation import Generation
from kb.failures import BadInput, ModelFailure
from rag import prompt
from rag.answer import Answer, Candidate, ForkQuestion, Question, Sentence, Times
from rag.card import compose
from rag.cite import Checker
from rag.decide import Verdict, decide
from rag.follow import understand
from rag.question import read
from rag.retrieve import Match
from rag.write import Writer

MAX_CANDIDATES = 10
NOTHING_WRITTEN = "The model wrote nothing that can be used; the card is the answer."


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
        said = read(turns[-1])
        read_at = time.perf_counter()
        understood = understand(said, turns[:-1], generation, self.encoder)
        question, matches = understood.question, understood.matches
        verdict = decide(question, matches, generation, understood.option)
        retrieved_at = time.perf_counter()
        card, citations = compose(verdict, question, matches, generation)
        candidates = _candidates(matches, generation, verdict)
        done = time.perf_counter()
        spans = (read_at - started, retrieved_at - read_at, done - started, done - started)
        ms = Times(*(round(1000 * span, 1) for span in spans))
        sure = round(verdict.confidence, 3)
        return question, Answer(verdict.decision, sure, card, citations, candidates, _asked(verdict), ms=ms)

    def explain(self, question: Question, answer: Answer, stop: threading.Event) -> Iterator[Answer]:
        """Yield `answer` with a growing explanation, each sentence checked; without evidence or a model, nothing."""
        if self.writer is None or answer.decision != "answer":
            return
        started = time.perf_counter()
        checker, written = Checker(answer.citations, answer.card.facts), ""
        try:
            for piece in self.writer.write(prompt.messages(question, answer), stop):
                written += piece
                yield _explained(answer, checker.check(written, finished=False), self.writer.name, started)
        except ModelFailure as failure:
            yield replace(answer, notice=str(failure))
            return
        last = _explained(answer, checker.check(written), self.writer.name, started)
        yield last if last.explanation else replace(last, notice=NOTHING_WRITTEN)


def _explained(answer: Answer, sentences: tuple[Sentence, ...], writer: str, started: float) -> Answer:
    total = round(answer.ms.first + 1000 * (time.perf_counter() - started), 1)
    return replace(answer, explanation=sentences, writer=writer, ms=replace(answer.ms, total=total))


def _asked(verdict: Verdict) -> ForkQuestion | None:
    """Return the fork's question, where it is asked."""
    if verdict.fork is None:
        return None
    return ForkQuestion(verdict.fork.question, tuple(option.label for option in verdict.fork.options))


def _candidates(matches: list[Match], generation: Generation, verdict: Verdict) -> tuple[Candidate, ...]:
    """Return the best matches, what was decided for at the head; scores as shares of the best."""
    best = matches[0].score if matches else 0.0
    scores = {match.entry: max(0.0, match.score / best) if best > 0 else 0.0 for match in matches}
    order = [match.entry for match in matches]
    winner = verdict.entry or verdict.fork
    if winner:
        order = [winner.id, *(key for key in order if key != winner.id)]
        scores[winner.id] = 1.0
    return tuple(
        Candidate(key, entry.title, entry.aliases, entry.signatures, round(min(1.0, scores[key]), 3))
        for key in order[:MAX_CANDIDATES]
        for entry in [generation.entries[key]]
    )
