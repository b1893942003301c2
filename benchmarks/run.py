"""How often is the right entry found, by style, by channel, and how long does it take? `make bench`

Questions lie in questions.jsonl: {"id", "style", "query" or "turns", "expect": [entry ids; none for "must abstain"],
"from": where people asked so}. Half of them, chosen by a hash of the id, are there to tune on; the other half is what
is reported. The last line is one JSON object.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from rag.answer import Answer
from rag.ask import Asker
from ui.settings import from_environment
from ui.start import Oomph

QUESTIONS = Path(__file__).parent / "questions.jsonl"
CHANNELS = ("signature", "name", "words", "coverage", "vectors")


@dataclass(frozen=True, slots=True)
class Case:
    """One question and the entries that an expert would accept as the first."""

    id: str
    style: str
    turns: tuple[str, ...]
    expect: frozenset[str]

    @property
    def tuned_on(self) -> bool:
        """Whether weights and thresholds may be fitted on this case."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case."""

    case: Case
    answer: Answer
    rank: int  # of the first accepted entry among the candidates; 0 where there is none

    @property
    def right(self) -> bool:
        """Whether it was answered with an accepted entry, or rightly abstained."""
        if not self.case.expect:
            return self.answer.decision == "abstain"
        return self.answer.decision != "abstain" and self.rank == 1


def load_cases(file: Path = QUESTIONS) -> list[Case]:
    """Read the questions."""
    cases = []
    for line in file.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        turns = tuple(case.get("turns") or [case["query"]])
        cases.append(Case(case["id"], case["style"], turns, frozenset(case["expect"])))
    return cases


def run(asker: Asker, cases: list[Case]) -> list[Outcome]:
    """Ask every case."""
    outcomes = []
    for case in cases:
        _, answer = asker.ask(case.turns)
        ranks = [rank for rank, candidate in enumerate(answer.candidates, 1) if candidate.entry in case.expect]
        outcomes.append(Outcome(case, answer, ranks[0] if ranks else 0))
    return outcomes


def summary(outcomes: list[Outcome]) -> dict[str, float]:
    """Return the shares that matter, over `outcomes`."""
    ours = [outcome for outcome in outcomes if outcome.case.expect]
    others = [outcome for outcome in outcomes if not outcome.case.expect]

    def share(hits: int, of: int) -> float:
        return round(hits / of, 3) if of else 0.0

    return {
        "cases": len(outcomes),
        "hit1": share(sum(outcome.rank == 1 for outcome in ours), len(ours)),
        "hit3": share(sum(1 <= outcome.rank <= 3 for outcome in ours), len(ours)),
        "hit10": share(sum(1 <= outcome.rank <= 10 for outcome in ours), len(ours)),
        "refused": share(sum(outcome.answer.decision == "abstain" for outcome in ours), len(ours)),
        "abstained": share(sum(outcome.answer.decision == "abstain" for outcome in others), len(others)),
    }


def _table(rows: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"{'':<26}" + "".join(f"{column:>10}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<26}" + "".join(f"{row[column]:>10}" for column in columns))
    print()


def _by_channel(asker: Asker, cases: list[Case]) -> dict[str, dict[str, float]]:
    """Return the shares with each channel alone and with each one left out."""
    from rag import retrieve

    whole = dict(retrieve.WEIGHTS)
    rows = {}
    try:
        for channel in CHANNELS:
            retrieve.WEIGHTS.update({key: (whole[key] if key == channel else 0.0) for key in whole})
            rows[f"only {channel}"] = summary(run(asker, cases))
            retrieve.WEIGHTS.update({key: (0.0 if key == channel else whole[key]) for key in whole})
            rows[f"without {channel}"] = summary(run(asker, cases))
    finally:
        retrieve.WEIGHTS.update(whole)
    return rows


def _times(asker: Asker, cases: list[Case]) -> dict[str, float]:
    """Return p50 and p95 of the milliseconds to the card, after one warm-up round over the same cases."""
    took = []
    for case in cases:
        started = time.perf_counter()
        asker.ask(case.turns)
        took.append(1000 * (time.perf_counter() - started))
    return {"p50_ms": round(statistics.median(took), 1), "p95_ms": round(statistics.quantiles(took, n=20)[-1], 1)}


def main() -> None:
    """Print the tables, then one JSON object."""
    parser = argparse.ArgumentParser(description="Measure how often the right entry is found.")
    parser.add_argument("--tuned", action="store_true", help="use the half that is tuned on, and list what went wrong")
    parser.add_argument("--channels", action="store_true", help="also each channel alone and left out")
    arguments = parser.parse_args()
    oomph = Oomph(from_environment(os.environ))
    oomph.index_if_stale(lambda what, done, of: print(f"{what} {done}/{of}", file=sys.stderr))
    cases = [case for case in load_cases() if case.tuned_on == arguments.tuned]
    outcomes = run(oomph.asker, cases)
    rows = {"all": summary(outcomes)}
    styles = defaultdict(list)
    for outcome in outcomes:
        styles[outcome.case.style].append(outcome)
    rows |= {style: summary(chosen) for style, chosen in sorted(styles.items())}
    _table(rows)
    if arguments.tuned:
        for outcome in outcomes:
            if not outcome.right:
                answer = outcome.answer
                first = [f"{candidate.entry} {candidate.score}" for candidate in answer.candidates[:3]]
                print(
                    f"{outcome.case.id} {outcome.case.style} rank {outcome.rank} {answer.decision} {answer.confidence} "
                    f"wanted {sorted(outcome.case.expect)} got {first}\n      {outcome.case.turns[-1][:150]!r}"
                )
    channels = _by_channel(oomph.asker, cases) if arguments.channels else {}
    if channels:
        _table(channels)
    times = _times(oomph.asker, cases)
    print(f"card after {times['p50_ms']} ms (p50), {times['p95_ms']} ms (p95)")
    print(json.dumps({**rows["all"], **times, "styles": rows, "channels": channels}))


if __name__ == "__main__":
    main()
