"""The question's journey: read → retrieve → decide → card, and then, where a model is loaded, write → check."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from index.embed import Encoder
from index.generation import Generation
from kb.entry import Fork, Option
from kb.failures import BadInput, ModelFailure
from rag import prompt
from rag.answer import Answer, Candidate, ForkQuestion, Question, Times
from rag.card import compose
from rag.cite import check
from rag.decide import ENOUGH, confidence, decide
from rag.question import read
from rag.retrieve import Match, retrieve
from rag.write import Writer

MAX_CANDIDATES = 10
SHORT = 12  # words; a later turn this short may lean on the turn before it

_LEANS = re.compile(
    r"(?i)^\W*(?:and|or|but|also|then|so|what about|how about)\b|\b(?:it|that|this|they|them|those|these)\b"
)


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
        question, earlier = read(turns[-1]), _last_readable(turns[:-1])
        read_at = time.perf_counter()
        question, matches = follow(question, earlier, generation, self.encoder)
        chosen = _chosen(turns[-1], matches, generation) if earlier else None
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


def follow(
    question: Question, earlier: Question | None, generation: Generation, encoder: Encoder
) -> tuple[Question, list[Match]]:
    """Retrieve for a question that may lean on the turn before it; return the question as it was understood.

    It keeps the hints of that turn. One that stands on its own is searched alone, any other together with that turn.
    """
    if earlier is None:
        return question, retrieve(question, generation, encoder)
    question = replace(question, hints=question.hints | earlier.hints)
    if not _is_option(question.text, generation):
        alone = retrieve(question, generation, encoder)
        long = question.is_log or question.errors or len(question.words.split()) > SHORT
        if long or (alone and confidence(alone) >= ENOUGH and not _LEANS.search(question.words)):
            return question, alone
    both = replace(
        question,
        lines=(*question.lines, *earlier.lines),
        words=f"{question.words}\n{earlier.words}",
        said=question.words,
        is_log=earlier.is_log,
    )
    return both, retrieve(both, generation, encoder)


def _last_readable(turns: Sequence[str]) -> Question | None:
    """Return the last of `turns` in which there is something to read."""
    for turn in reversed(turns):
        try:
            return read(turn)
        except BadInput:
            continue
    return None


def _chosen(said: str, matches: list[Match], generation: Generation) -> Option | None:
    """Return the option of a matching fork that was named word for word."""
    wanted = said.strip().casefold()
    for match in matches:
        entry = generation.entries[match.entry]
        if isinstance(entry, Fork):
            for option in entry.options:
                if option.label.casefold() == wanted:
                    return option
    return None


def _is_option(said: str, generation: Generation) -> bool:
    """Return whether `said` is the label of an option, as its button sends it."""
    wanted = said.strip().casefold()
    forks = (entry for entry in generation.entries.values() if isinstance(entry, Fork))
    return any(option.label.casefold() == wanted for fork in forks for option in fork.options)


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
