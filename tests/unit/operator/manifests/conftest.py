"""Jobs as the operator builds them, and short ways to look at them: `build.evaluation().mounts["/model"]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.jobs import ANY_JOB, CacheRoom
from bitagent_crds.model_result import ModelResult
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.identity import frozen
from bitagent_operator.plan.interface import StartEvaluation, StartFetch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
KEY = "k" * 12


@dataclass(frozen=True)
class BuiltJob:
    """A Job, and parts of its only container."""

    raw: Obj

    @property
    def labels(self) -> dict[str, str]:
        """Those of its pods."""
        found: dict[str, str] = self.raw["spec"]["template"]["metadata"]["labels"]
        return found

    @property
    def pod(self) -> Obj:
        """The pod's spec."""
        spec: Obj = self.raw["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Obj:
        (container,) = self.pod["containers"]
        found: Obj = container
        return found

    @property
    def mounts(self) -> dict[str, Obj]:
        return {m["mountPath"]: m for m in self.container["volumeMounts"]}

    @property
    def environment(self) -> dict[str, Any]:
        """Values, or where they come from, without what every container has."""
        env = {e["name"]: e.get("value", e.get("valueFrom")) for e in self.container["env"]}
        assert {env.pop("HOME"), env.pop("USER")} == {"/tmp", "app"}
        return env

    @property
    def document(self) -> Any:
        return ANY_JOB.validate_json(self.raw["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])


class Build:
    """Builders of one Job each; `config` has members of the operator's configuration."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def model(self, **spec: Any) -> ModelObject:
        """A fetched MinerModel with these members of its spec."""
        raw = self._make.model_raw("a", fetched=True)
        raw["spec"] |= spec
        return ModelObject.parse(raw)

    def fetch(
        self,
        source: Obj | None = None,
        *,
        room: CacheRoom = CacheRoom(),  # noqa: B008
        config: Obj | None = None,
        **start: Any,
    ) -> BuiltJob:
        model = self.model(**({"source": source} if source else {}))
        made = StartFetch("need", self._make.T0, 1, **start)
        return BuiltJob(fetch_job(self._make.config(**(config or {})), model, made, room))

    def task_set(self, config: Obj | None = None, **spec: Any) -> BuiltJob:
        return BuiltJob(task_set_job(self._make.config(**(config or {})), self._make.round(**spec), 1))

    def evaluation(
        self, config: Obj | None = None, model: ModelObject | None = None, start: Obj | None = None, **spec: Any
    ) -> BuiltJob:
        """`start` has further members of the StartEvaluation."""
        observed, model = self._make.round(**spec), model or self.model()
        assert model.status.resolved is not None
        entry = ModelResult(model="a", **frozen(model, model.status.resolved, observed.spec.evaluation))
        tasks = TaskSetStatus.model_validate(self._make.TASK_SET)
        made = StartEvaluation(KEY, 1, entry, **(start or {}))
        return BuiltJob(evaluation_job(self._make.config(**(config or {})), observed, made, tasks))


@pytest.fixture
def build(make: Make) -> Build:
    return Build(make)


@pytest.fixture(params=["fetch", "task_set", "evaluation"])
def any_job(request: pytest.FixtureRequest, build: Build) -> BuiltJob:
    """Each kind of Job."""
    made: BuiltJob = getattr(build, request.param)()
    return made
