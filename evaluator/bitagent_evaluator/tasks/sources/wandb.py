"""Samples that the runs of a Weights & Biases project have logged, the newest first.

Two queries of the public GraphQL API suffice: the runs, newest first, and a page of one run's history. The official
client is not used, because it needs a server program of 55 MB.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from bitagent_crds.tasks import WandbStream
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.base import open_address

_RUNS = """
query Runs($entity: String!, $project: String!, $cursor: String, $perPage: Int!) {
  project(name: $project, entityName: $entity) {
    runs(after: $cursor, first: $perPage, order: "-created_at") {
      edges { node { name historyKeys } }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""
_HISTORY = """
query HistoryPage(
  $entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}
"""
_RUNS_PER_PAGE = 50
_MAX_ANSWER_BYTES = 1 << 27
STEPS_PER_PAGE = 500
MAX_PAGES = 2_000
"""Most pages of history that are searched for samples, and most pages of runs."""

Row = dict[str, Any]


class WandbProject:
    """One project, read for its samples."""

    def __init__(self, stream: WandbStream, *, key: str | None) -> None:
        self._variables = {"entity": stream.entity, "project": stream.project}
        self._what = f"the Weights & Biases project {stream.entity}/{stream.project}"
        headers = {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()} if key else {}
        address = f"{stream.endpoint.rstrip('/')}/graphql"
        self._web = open_address(address, self._what, max_bytes=_MAX_ANSWER_BYTES, headers=headers)

    def newest(self, count: int, *, is_sample: Callable[[Row], bool]) -> list[Row]:
        """Return up to `count` samples among the history rows, the newest run first, and its last row first.

        Raises TaskSetError if the project cannot be opened or the answer has another form, FetchError if the service
        cannot be read.
        """
        try:
            return self._newest(count, is_sample)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise TaskSetError(f"{self._what}: the service's answer is not of the known form ({error!r})") from error

    def _newest(self, count: int, is_sample: Callable[[Row], bool]) -> list[Row]:
        found: list[Row] = []
        pages = 0
        for run, last_step in self._runs():
            for end in range(last_step + 1, 0, -STEPS_PER_PAGE):
                page = self._history(run, max(0, end - STEPS_PER_PAGE), end)
                found += filter(is_sample, reversed(page))
                pages += 1
                if len(found) >= count or pages >= MAX_PAGES:
                    return found[:count]
        return found

    def _runs(self) -> Iterator[tuple[str, int]]:
        """Yield name and last step of the runs that logged something, the newest first."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):  # even if the service always names a next page
            runs = self._project(_RUNS, cursor=cursor, perPage=_RUNS_PER_PAGE)["runs"]
            for edge in runs["edges"]:
                keys = edge["node"].get("historyKeys")
                keys = json.loads(keys) if isinstance(keys, str) else keys
                last = keys.get("lastStep", -1) if isinstance(keys, dict) else -1
                if last >= 0:
                    yield edge["node"]["name"], int(last)
            if not runs["pageInfo"]["hasNextPage"]:
                return
            cursor = runs["pageInfo"]["endCursor"]

    def _history(self, run: str, start: int, end: int) -> list[Row]:
        """Return the rows from step `start` up to, not including, `end`, in the order of their steps."""
        found = self._project(_HISTORY, run=run, minStep=start, maxStep=end, pageSize=end - start)["run"]
        rows = [json.loads(row) if isinstance(row, str) else row for row in (found or {}).get("history") or []]
        return sorted((row for row in rows if isinstance(row, dict)), key=lambda row: row.get("_step", 0))

    def _project(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._web.post_json({"query": query, "variables": {**self._variables, **variables}})
        if not isinstance(answer, dict):
            raise TaskSetError(f"{self._what}: the answer is not that of a GraphQL interface: check the endpoint")
        if errors := answer.get("errors"):
            raise TaskSetError(f"{self._what}: {_first_message(errors)}")
        project = (answer.get("data") or {}).get("project")
        if project is None:
            raise TaskSetError(f"{self._what} does not exist, or is private and the API key does not open it")
        return dict(project)


def _first_message(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) and errors else errors
    return str(first.get("message", first) if isinstance(first, dict) else first)[:300]
