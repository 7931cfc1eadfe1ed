"""Public troubles of other operators: a policy that denies, and a namespace that is deleted under a running round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bitagent_crds.jobs import EXIT_STOPPED
from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
WORDS = "a label cost-centre is missing"


def deny(world: World, group: str, resource: str, operation: str = "CREATE") -> str:
    """Put a policy in force that requires a label, or forbids deletions; return the path of its binding."""
    name = f"{world.namespace}-{resource}"
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": [operation], "resources": [resource]}
    namespaces = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    labelled = "has(object.metadata.labels) && 'cost-centre' in object.metadata.labels"
    labelled = labelled if operation == "CREATE" else "false"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": namespaces},
        "validations": [{"expression": labelled, "message": WORDS}],
    }
    world.api.create(f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    bound = {"policyName": name, "validationActions": ["Deny"]}
    path = f"{ADMISSION}/validatingadmissionpolicybindings"
    world.api.create(path, {"metadata": {"name": name}, "spec": bound})
    pod: Obj = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    probe = {"jobs": {"template": {"spec": pod}}, "pods": pod}[resource]

    def denies() -> bool:
        try:
            if operation == "CREATE":
                world.api.create(f"{world.path(resource)}?dryRun=All", {"metadata": {"name": "probe"}, "spec": probe})
            else:
                world.api.delete(f"{world.path(resource, 'probe')}?dryRun=All")
        except ApiError as error:
            return WORDS in str(error)
        return False

    if operation == "DELETE":
        world.api.create(world.path(resource), {"metadata": {"name": "probe"}, "spec": probe | {"suspend": True}})
    world.until("the policy is in force", denies)
    return f"{path}/{name}"


@pytest.mark.parametrize(
    ("group", "resource", "reason"),
    [pytest.param("batch", "jobs", "JobRefused", id="Jobs"), pytest.param("", "pods", "PodRefused", id="pods")],
)
def test_a_policy_is_quoted_in_status_until_it_lets_them_pass(
    world: World, group: str, resource: str, reason: str
) -> None:
    binding = deny(world, group, resource)
    world.start_operator()
    world.model("m-500")
    world.round("denied")

    def said() -> bool:
        found = (
            world.condition("evalrounds", "denied", "TasksReady"),
            world.condition("minermodels", "m-500", "Fetched"),
        )
        return all(c["reason"] == reason and WORDS in c["message"] for c in found)

    world.until("round and model have the policy's words", said)
    world.api.delete(binding)
    world.until_condition("evalrounds", "denied", "Complete")


def test_a_policy_against_deletions_is_quoted_and_keeps_no_result(world: World) -> None:
    world.constants = {"bitagent_operator.reconcilers.reconcile:DENIED_SECONDS": 3.0}
    binding = deny(world, "batch", "jobs", "DELETE")
    world.start_operator()
    for name in ("m-100", "m-200"):
        world.model(name)
    world.round("kept", workload={"parallelism": 1})
    world.until_condition("evalrounds", "kept", "Complete")
    said = world.until("the policy's words", lambda: world.events_of("JobNotChanged"))
    assert all(WORDS in text for text in said)
    fetches = {"app.kubernetes.io/component": "fetch"}
    assert len(world.all("jobs", **fetches)) == 2
    world.api.delete(binding)
    world.until("they are deleted then", lambda: not world.all("jobs", **fetches))


def test_a_namespace_that_is_deleted_in_mid_round_goes(operator: World, outcomes: Outcomes) -> None:
    """Nothing of ours keeps it, and the operator does not end."""

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.kubelet.stopped = outcomes.crashed(EXIT_STOPPED, "", "Error")
    for name in ("m-100", "m-200"):
        operator.model(name)
    operator.round("r")
    operator.until("it runs", lambda: {r["state"] for r in operator.results("r").values()} == {"Running"})
    operator.api.delete(f"/api/v1/namespaces/{operator.namespace}")

    def gone() -> bool:
        try:
            operator.api.get(f"/api/v1/namespaces/{operator.namespace}")
        except ApiError as error:
            return error.status == 404
        return False

    operator.until("the namespace is gone", gone)
    (process,) = operator.operators
    assert process.poll() is None
