"""Samples that the runs of a Weights & Biases project log, the newest first.

Two questions to the public GraphQL interface are all it takes: which runs there are, newest first, and a page of one run's history. The
official client answers them through a 55 MB server program beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from bitagent_crds.sources import WandbStream
from bitagent_evaluator.tasks.data.web import WebFile
from bitagent_evaluator.tasks.errors import TaskSetError

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
query HistoryPage($entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}
"""
_RUNS_PER_PAGE = 50
_MAX_ANSWER_BYTES = 1 << 27
STEPS_PER_PAGE = 500
MAX_PAGES = 2_000
"""Most pages of history that are looked through for samples, and most pages of runs."""

Row = dict[str, Any]


class WandbProject:
    """A project as its samples."""

    def __init__(self, stream: WandbStream, *, key: str | None) -> None:
        self._variables = {"entity": stream.entity, "project": stream.project}
        self._what = f"the Weights & Biases project {stream.entity}/{stream.project}"
        headers = {"Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode()} if key else {}
        address = f"{stream.endpoint.rstrip('/')}/graphql"
        self._web = WebFile.named(address, self._what, max_bytes=_MAX_ANSWER_BYTES, headers=headers)

    def newest(self, count: int, *, wanted: Callable[[Row], bool]) -> list[Row]:
        """Up to `count` history rows that are wanted: of the newest run the last first, then of the one before it.

        Raises TaskSetError and InfrastructureFault.
        """
        try:
            return self._newest(count, wanted)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise TaskSetError(f"{self._what}: the service's answer is not of the known form ({error!r})") from error

    def _newest(self, count: int, wanted: Callable[[Row], bool]) -> list[Row]:
        found: list[Row] = []
        pages = 0
        for run, last_step in self._runs():
            for end in range(last_step + 1, 0, -STEPS_PER_PAGE):
                page = self._history(run, max(0, end - STEPS_PER_PAGE), end)
                found += filter(wanted, reversed(page))
                pages += 1
                if len(found) >= count or pages >= MAX_PAGES:
                    return found[:count]
        return found

    def _runs(self) -> Iterator[tuple[str, int]]:
        """Names and last steps of the runs that logged something, the newest first."""
        cursor: str | None = None
        for _ in range(MAX_PAGES):  # whatever the service says is next
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
        """The rows from step `start` up to, not including, `end`, in the order of their steps."""
        found = self._project(_HISTORY, run=run, minStep=start, maxStep=end, pageSize=end - start)["run"]
        rows = [json.loads(row) if isinstance(row, str) else row for row in (found or {}).get("history") or []]
        return sorted((row for row in rows if isinstance(row, dict)), key=lambda row: row.get("_step", 0))

    def _project(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._web.post({"query": query, "variables": {**self._variables, **variables}})
        if not isinstance(answer, dict):
            raise TaskSetError(f"{self._what}: what answers there is no GraphQL interface: check the endpoint")
        if errors := answer.get("errors"):
            raise TaskSetError(f"{self._what}: {_first_message(errors)}")
        project = (answer.get("data") or {}).get("project")
        if project is None:
            raise TaskSetError(f"{self._what} does not exist, or is private and the API key does not open it")
        return dict(project)


def _first_message(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) and errors else errors
    return str(first.get("message", first) if isinstance(first, dict) else first)[:300]
