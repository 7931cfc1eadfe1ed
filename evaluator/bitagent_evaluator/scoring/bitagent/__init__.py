"""The BitAgent subnet's criteria for one tool call, as they stood in November 2024 and in April 2025.

`criteria` has the vocabulary and the two criteria that look at the transport, `reading` reads an answer, one file a rule set judges it,
`scorer` applies the tool criteria to the project's tasks. Everything is a pure function of its arguments. The rule sets keep what the
subnet's validators did, oddities included; where they ran into an exception, the criterion gets `FAILED`.
"""

from bitagent_evaluator.scoring.bitagent.criteria import Answer, Expected, Points, Score, Tools
from bitagent_evaluator.scoring.bitagent.rule_sets import RULE_SETS, RuleSet, rule_set

__all__ = ["RULE_SETS", "Answer", "Expected", "Points", "RuleSet", "Score", "Tools", "rule_set"]
