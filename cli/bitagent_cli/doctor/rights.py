"""Questions about rights: the rules of the operator's Role, and what this command itself needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bitagent_cli.doctor.seen import Right
from bitagent_crds.permissions import OPERATOR_RULES, VOLUME_RULES, Rule
from bitagent_crds.schema import GROUP
from bitagent_kube.objects import Obj


@dataclass(frozen=True, order=True)
class Question:
    """Whether somebody may do one thing in a namespace."""

    group: str
    resource: str
    """With its subresource after a slash."""
    verb: str

    def attributes(self, namespace: str) -> Obj:
        """Return the attributes of a review."""
        resource, _, subresource = self.resource.partition("/")
        found = {"namespace": namespace, "group": self.group, "resource": resource, "verb": self.verb}
        return found | ({"subresource": subresource} if subresource else {})

    def answered(self, *, allowed: bool) -> Right:
        """Return the answer."""
        return Right(self.group, self.resource, self.verb, allowed)


def questions(rules: Iterable[Rule]) -> Iterator[Question]:
    """Yield a question for each verb of each resource of the rules."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from (Question(group, resource, verb) for verb in rule["verbs"])


def of_operator(*, volume_per_model: bool) -> list[Question]:
    """Return what an operator must be able to do."""
    rules = [*OPERATOR_RULES, *(VOLUME_RULES if volume_per_model else [])]
    return sorted(set(questions(rules)))


OF_PERSON: dict[Question, str] = {
    Question(GROUP, "minermodels", "patch"): "submit",
    Question(GROUP, "evalrounds", "list"): "rounds, leaderboard, explain",
    Question(GROUP, "evalrounds", "patch"): "retry",
    Question("", "pods/log", "get"): "logs",
    Question("", "pods", "create"): "fetch, report, doctor --probe",
    Question("", "pods/exec", "create"): "fetch, report",
}
"""What the person at the terminal has to be able to do, for which verbs."""


def account_of(deployment: Obj) -> tuple[str, Sequence[str]]:
    """Return user name and groups of the pods of a Deployment."""
    namespace = deployment["metadata"]["namespace"]
    name = deployment["spec"]["template"]["spec"].get("serviceAccountName") or "default"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return f"system:serviceaccount:{namespace}:{name}", groups


def as_words(rights: Iterable[Right]) -> str:
    """Return rights that are missing: `create, get pods; list events.k8s.io/events`."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(f"{right.group}/{right.resource}".lstrip("/"), []).append(right.verb)
    return "; ".join(f"{', '.join(of)} {resource}" for resource, of in verbs.items())
