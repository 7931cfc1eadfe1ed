"""Alterations: changes to drawn tasks after which remembering a benchmark does not help, while the right answer stays known.

One file per alteration behind the registry in `alteration`; `pipeline` applies them in the order of the spec and keeps the books. Most are pure
functions of one task; `rewriting` asks a language model, by what it is given in `means`, and judges the answers by `similarity` and value. An
alteration changes a task only where it is certain that the changed ground truth is still right; every other task stays as it is and is
counted with a reason. All choices follow from seed, place in the spec and task id (`choices`). What a right answer is, is
`bitagent_evaluator.scoring`; which tasks are drawn, `bitagent_evaluator.tasks`.
"""

from bitagent_evaluator.alterations.alteration import (
    ALTERATIONS,
    Alteration,
    AlterationError,
    Altered,
    JointAlteration,
    Skipped,
)
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.means import Means
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.pool import Pool
from bitagent_evaluator.alterations.rewriting.kept import REWRITES, KeptAnswers

__all__ = [
    "ALTERATIONS",
    "REWRITES",
    "Alteration",
    "AlterationError",
    "Altered",
    "Choices",
    "JointAlteration",
    "KeptAnswers",
    "Means",
    "Pool",
    "Skipped",
    "alter_tasks",
]
