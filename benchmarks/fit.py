"""Fit the weights of the channels and the log-odds of the confidence on the half of the questions that is tuned on.

Prints constants to put into rag/retrieve.py and rag/decide.py; the reported half is not looked at.
Run: python -m benchmarks.fit
"""

import os

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.run import Case, load_cases
from rag.decide import features as confidence_features
from rag.follow import understand
from rag.question import read
from rag.retrieve import WEIGHTS, Match
from ui.settings import from_environment
from ui.start import Oomph

STRENGTH = 3.0  # inverse of the regularisation: a few hundred cases bear no more


def main() -> None:
    """Fit both and print them."""
    oomph = Oomph(from_environment(os.environ))
    oomph.index_if_stale(lambda what, done, of: None)
    generation = oomph.serving()
    asked = []
    for case in load_cases():
        if case.tuned_on:
            understood = understand(read(case.turns[-1]), case.turns[:-1], generation, oomph.encoder)
            asked.append((case, understood.matches, understood.question))

    weights = _best_weights([(case, matches) for case, matches, _ in asked if case.expect])
    print("WEIGHTS =", {key: round(value, 2) for key, value in weights.items()})

    rows, truth = [], []
    for case, matches, question in asked:
        if matches:
            rows.append(confidence_features(question, matches))
            truth.append(float(matches[0].entry in case.expect or _forks(matches[0], case, generation)))
    table, labels = np.array([list(row.values()) for row in rows]), np.array(truth)
    odds = LogisticRegression(C=STRENGTH, max_iter=5000).fit(table, labels)
    names = list(rows[0])
    print("BIAS =", round(float(odds.intercept_[0]), 2))
    print("ODDS =", {key: round(float(value), 2) for key, value in zip(names, odds.coef_[0], strict=True)})
    sure = odds.predict_proba(table)[:, 1]
    for low in np.arange(0, 1, 0.1):
        inside = (sure >= low) & (sure < low + 0.1)
        if inside.any():
            print(f"said {low:.1f} to {low + 0.1:.1f}: right {labels[inside].mean():.2f} of {inside.sum()}")


def _best_weights(asked: list[tuple[Case, list[Match]]]) -> dict[str, float]:
    """Return the weights with the best mean reciprocal rank, found by changing one at a time; the signature's stays."""
    tables = [
        (
            np.array([list(match.channels().values()) for match in matches]),
            np.array([match.entry in case.expect for match in matches]),
        )
        for case, matches in asked
    ]
    names = list(WEIGHTS)

    def goodness(weights: dict[str, float]) -> float:
        vector = np.array([weights[name] for name in names])
        ranks = []
        for table, right in tables:
            scores = table @ vector
            ranks.append(1 / (1 + np.sum(scores > scores[right].max())) if right.any() else 0.0)
        return float(np.mean(ranks))

    best = dict(WEIGHTS)
    for _ in range(6):
        for name in names[1:]:
            tried = [{**best, name: best[name] * factor} for factor in (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0)]
            values = [goodness(weights) for weights in tried]
            if max(values) > goodness(best) + 1e-3:  # a change that moves hardly a case is noise
                best = tried[int(np.argmax(values))]
    print(f"mean reciprocal rank {goodness(dict(WEIGHTS)):.3f} before, {goodness(best):.3f} after")
    return best


def _forks(match: Match, case: object, generation: object) -> bool:
    """Return whether the match is a fork that leads to an accepted entry."""
    options = getattr(generation.entries[match.entry], "options", ())  # type: ignore[attr-defined]
    return any(option.entry in case.expect for option in options)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
