"""Views of scores that the commands share."""

from __future__ import annotations

from bitagent_crds.results import Verdict
from bitagent_evaluator.cli.score_views import score_tables
from bitagent_evaluator.scoring.scorers import aggregate


def test_tables_name_what_the_overall_score_lacks() -> None:
    verdicts = [Verdict(id="a", category="memory_kv", passed=True, score=1.0)]
    captions = [str(table.caption) for table in score_tables(aggregate(verdicts, scorer="Bfcl"))]
    assert "no Overall Acc without Non-Live AST Acc" in captions[1] and "Memory KV" not in captions[1]
