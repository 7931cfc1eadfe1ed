"""Columns equal those of the official leaderboard's own program for the same numbers of passed cases."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_crds.results import CategoryScore
from bitagent_crds.tasks import BfclCategory
from bitagent_evaluator.scoring.leaderboard import COLUMNS, OVERALL_WITHOUT_AGENTIC, columns

OFFICIAL = """
import contextlib, io, json, sys, types
from pathlib import Path

facts = dict(display_name="m", url="u", org="o", license="l", input_price=None, output_price=None)
config = types.ModuleType("bfcl_eval.constants.model_config")
config.MODEL_CONFIG_MAPPING = {"m": types.SimpleNamespace(**facts)}
sys.modules[config.__name__] = config
sys.modules["pandas"] = types.ModuleType("pandas")
from bfcl_eval.eval_checker.eval_runner_helper import generate_leaderboard_csv
given = json.load(sys.stdin)
table = {name: {"accuracy": passed / total, "total_count": total} for name, (passed, total) in given.items()}
with contextlib.redirect_stdout(io.StringIO()):
    generate_leaderboard_csv({"m": table}, Path(sys.argv[1]))
"""
"""Runs in a process of its own, with stand-ins for vendors' clients and for a library that only draws tables."""
OTHERS = ("web_search_base", "web_search_no_snippet", "memory_vector")
"""Categories that no source here has."""


@pytest.mark.parametrize("seed", range(3))
def test_columns_equal_the_official_ones(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    sizes = {category: chance.randint(1, 1100) for category in [*map(str, BfclCategory), *OTHERS]}
    passed = {name: (chance.randint(0, size), size) for name, size in sizes.items()}
    subprocess.run(
        [sys.executable, "-c", OFFICIAL, str(tmp_path)],
        input=json.dumps(passed).encode(),
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    with (tmp_path / "data_overall.csv").open() as file:
        official = next(csv.DictReader(file))
    ours = columns({name: CategoryScore(passed=of[0], total=of[1]) for name, of in passed.items()})
    for name, value in ours.items():
        if name != OVERALL_WITHOUT_AGENTIC:
            assert 100 * float(value) == pytest.approx(float(official[name].rstrip("%")), abs=0.0051), name
    assert ours.keys() == COLUMNS.keys()
