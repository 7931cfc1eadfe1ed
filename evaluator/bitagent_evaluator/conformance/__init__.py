"""Lines that carry a task and an answer together, scored one by one, to compare verdicts with a reference.

Lines are JSON objects; a result has the line's id. Formats are in `pairs`; responses to a task set are scored by
`bitagent_evaluator.scoring`.
"""

from collections.abc import Mapping

from bitagent_evaluator.conformance.pairs import (
    BadLine,
    BfclPairs,
    BitAgentPairs,
    PairFormat,
    PairScorer,
    text_response,
)

PAIR_SCORERS: Mapping[PairFormat, type[PairScorer]] = {
    PairFormat.BFCL: BfclPairs,
    PairFormat.BITAGENT: BitAgentPairs,
}

__all__ = ["PAIR_SCORERS", "BadLine", "PairFormat", "PairScorer", "text_response"]
