"""Lines that carry a task and an answer together, judged one by one: for comparing verdicts with a reference, line by line.

One file a line format, behind the registry here. Lines are JSON objects; a verdict keeps the line's id.
"""

from bitagent_evaluator.scoring.pairs.line import PAIR_FORMATS, BadLine, PairFormat, pair_format

__all__ = ["PAIR_FORMATS", "BadLine", "PairFormat", "pair_format"]
