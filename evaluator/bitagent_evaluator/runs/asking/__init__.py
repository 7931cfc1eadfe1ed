"""How tasks are put to a model: one file per way of asking, behind the registry in `way`.

A way first prepares everything that needs no engine (prompts are written and tokenized while the engine's import still runs), says how much
room its sequences take, and then asks what the journal lacks. Judging answers is `bitagent_evaluator.scoring`; what a prompt looks like is
`bitagent_evaluator.formats`.
"""

from bitagent_evaluator.runs.asking.way import WAYS, Asked, Way, prepare_ways
from bitagent_evaluator.runs.asking.wording import Wording, choose_format, open_wording

__all__ = ["WAYS", "Asked", "Way", "Wording", "choose_format", "open_wording", "prepare_ways"]
