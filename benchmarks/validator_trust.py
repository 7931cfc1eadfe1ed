"""Validator trust of the smaller of two validators whose verdicts differ a little, as with rewriters of their own.

    python benchmarks/validator_trust.py [--runs N] [--out FILE]

The smaller one has the same tasks and models; of each model, some verdicts differ. Scores become weights by the
BitAgent policy, and both rows go through an epoch of the simulated chain's consensus. The larger one's row is the
consensus, so that its trust is 1. Writes validator_trust.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from pathlib import Path

from bitagent_local.chain.pallets.yuma import Input, epoch
from bitagent_validator.chain.facts import Rules
from bitagent_validator.weights.vector import quantize

SCORES = (0.45, 0.70)
"""The models' skills lie between these, as in docs/decisions/042-several-validators.md."""
STAKES = (10_000, 8_000)
RULES = Rules(
    rate_limit=100,
    version_key=0,
    min_weights=1,
    max_weight=65535,
    commit_reveal=False,
    stake_threshold=0,
    activity_cutoff=5000,
)


def row(right: list[int], tasks: int) -> dict[int, int]:
    """Return the weights by uid of models with these numbers of right answers; the first two uids are validators'."""
    raised = {f"{number + 2:03d}": math.exp(5 * count / tasks) - 1 for number, count in enumerate(right)}
    total = math.fsum(raised.values())
    weights = quantize({hotkey: value / total for hotkey, value in raised.items()}, rules=RULES)
    return {int(hotkey): weight for hotkey, weight in weights.items()}


def trust(rows: list[dict[int, int]], size: int) -> float:
    """Return the second validator's trust after an epoch with these rows."""
    found = epoch(
        Input(
            block=1000,
            stake=[*STAKES, *([0] * (size - 2))],
            permits=[True, True, *([False] * (size - 2))],
            last_update=[900] * size,
            registered_at=[0] * size,
            weights=[*rows, *({} for _ in range(size - 2))],
            bonds=[{} for _ in range(size)],
            commit_blocks=[None] * size,
            owner=None,
            bonds_since=0,
            stake_threshold=0,
            activity_cutoff=5000,
            max_validators=2,
            kappa=0.5,
            bonds_moving_average=0.9,
            bonds_penalty=1.0,
        )
    )
    return found.validator_trust[1]


def one(chance: random.Random, *, models: int, tasks: int, differing: int) -> float:
    """Return the trust of one pair of rows; `differing` verdicts of each model are the opposite for the second."""
    right, other = [], []
    for _ in range(models):
        skill = chance.uniform(*SCORES)
        verdicts = [chance.random() < skill for _ in range(tasks)]
        changed = set(chance.sample(range(tasks), differing))
        right.append(sum(verdicts))
        other.append(sum(verdict is not (number in changed) for number, verdict in enumerate(verdicts)))
    return trust([row(right, tasks), row(other, tasks)], models + 2)


def main() -> int:
    """Measure, print a table of Markdown and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    found = []
    print("| models | tasks | verdicts of each model that differ | trust: median | of 20, the lowest |")
    print("|---|---|---|---|---|")
    for models, tasks, differing in ((8, 300, 0), (8, 300, 1), (8, 300, 4), (8, 1000, 4), (8, 1000, 13), (64, 300, 1)):
        chance = random.Random(f"{models} {tasks} {differing}")
        runs = sorted(one(chance, models=models, tasks=tasks, differing=differing) for _ in range(options.runs))
        median, low = statistics.median(runs), runs[len(runs) // 20]
        found.append({"models": models, "tasks": tasks, "differing": differing, "median": median, "low": low})
        print(f"| {models} | {tasks} | {differing} | {median:.4f} | {low:.4f} |")
    options.out.write_text(json.dumps({"runs": options.runs, "found": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
