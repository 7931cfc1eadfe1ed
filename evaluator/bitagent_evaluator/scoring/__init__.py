"""From answers to verdicts, and from verdicts to a score.

`score` judges the answers of one model to a task set, `aggregate` makes the score and its confidence interval of the verdicts. A scorer is one file behind the registry in `scorer`; it says
which answers are right and nothing else. `pairs` judges lines that carry task and answer together. Tasks come from `bitagent_evaluator.tasks`, reading answers is `bitagent_evaluator.answers`.
"""

from bitagent_evaluator.scoring.aggregation import Aggregate, aggregate
from bitagent_evaluator.scoring.scorer import Scorer, answer, score, scorer

__all__ = ["Aggregate", "Scorer", "aggregate", "answer", "score", "scorer"]
