"""Language models behind an OpenAI-compatible HTTP endpoint, such as `vllm serve` or a vendor's.

`client` sends one request and tries again where that helps, `reply` reads what comes back, `errors` says whose fault a failure is, `waiting` how long to
pause, `patience` when there were too many; `concurrently` bounds how many requests are open. What is asked, and what an answer is good for, is the
callers' affair: `bitagent_evaluator.alterations.rewriting` has questions reworded, `bitagent_evaluator.runs.remote` has tasks answered.
"""

from bitagent_evaluator.endpoint.client import Address, Endpoint
from bitagent_evaluator.endpoint.concurrently import for_each
from bitagent_evaluator.endpoint.errors import EndpointUnavailable, Failure, RequestFailed
from bitagent_evaluator.endpoint.patience import Patience
from bitagent_evaluator.endpoint.reply import Reply, ToolCall

__all__ = [
    "Address",
    "Endpoint",
    "EndpointUnavailable",
    "Failure",
    "Patience",
    "Reply",
    "RequestFailed",
    "ToolCall",
    "for_each",
]
