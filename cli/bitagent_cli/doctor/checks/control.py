"""API server, definitions, operator, rights, objects that stand still. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from bitagent_cli.doctor.definitions import definition_name, fields, outermost, own_fields
from bitagent_cli.doctor.findings import Area, Finding, bad, ok, unknown, unread, warn
from bitagent_cli.doctor.rights import OF_PERSON, Question, as_words
from bitagent_cli.doctor.seen import Seen
from bitagent_cli.objects.ages import duration
from bitagent_cli.objects.rows import condition
from bitagent_kube.objects import Obj, parse_time

OLDEST_SERVER = (1, 29)
"""First minor version whose CEL rules are stable."""
LEASE_SECONDS = 60
"""Age of a Lease's last renewal beyond which no operator holds it."""
_SHOWN = 5
_ROLLED_OUT = "NewReplicaSetAvailable"
"""Reason of a Deployment's condition Progressing once all its pods have been ready."""


def server(seen: Seen) -> Iterator[Finding]:
    """Yield whether the API server is new enough."""
    match = re.match(r"v?(\d+)\.(\d+)", seen.server_version)
    if match is None:
        yield unknown(Area.SERVER, f"the API server's version is {seen.server_version or 'not known'}")
    elif (int(match[1]), int(match[2])) < OLDEST_SERVER:
        least = ".".join(map(str, OLDEST_SERVER))
        yield bad(
            Area.SERVER, f"Kubernetes {seen.server_version} lacks stable CEL rules", f"upgrade to {least} or later"
        )
    else:
        yield ok(Area.SERVER, f"Kubernetes {seen.server_version}")


def definitions(seen: Seen) -> Iterator[Finding]:
    """Yield whether the kinds are there, and are those of this version."""
    if not seen.served:
        do = "install the chart bitagent-operator with crds.install=true"
        yield bad(Area.DEFINITIONS, "the three kinds are not served", do)
        return
    for plural, read in seen.definitions.items():
        name = definition_name(plural)
        if read.refused:
            yield unknown(Area.DEFINITIONS, f"{name} is served; it cannot be compared: {read.refused}")
            continue
        if read.value is None:
            yield bad(Area.DEFINITIONS, f"there is no {name}", "install the chart with crds.install=true")
            continue
        theirs, ours = fields(read.value), own_fields(plural)
        lacking, later = outermost(ours - theirs), outermost(theirs - ours)
        established = condition(read.value.get("status") or {}, "Established").get("status") == "True"
        if not established:
            yield bad(Area.DEFINITIONS, f"{name} is not established", f"kubectl describe crd {name}")
        elif not theirs:
            yield bad(Area.DEFINITIONS, f"{name} does not serve v1alpha1", "upgrade the definitions: helm upgrade")
        elif lacking:
            do = "upgrade the release that owns the definitions (docs/operating.md#upgrade-remove)"
            yield warn(Area.DEFINITIONS, f"{name} is older than this command; it lacks {_some(lacking)}", do)
        elif later:
            do = "upgrade this command to the version of the operator (docs/commands.md)"
            yield warn(Area.DEFINITIONS, f"{name} is newer than this command; it also has {_some(later)}", do)
        else:
            yield ok(Area.DEFINITIONS, f"{name} is that of this version")


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def operator(seen: Seen) -> Iterator[Finding]:
    """Yield whether an operator of the namespace runs and acts."""
    yield from unread(Area.OPERATOR, "Deployments", seen.deployments)
    where = f"namespace {seen.namespace}"
    if home := _elsewhere(seen):
        yield ok(Area.OPERATOR, f"{where} is operated by a release of namespace {home}")
    elif not seen.deployments.refused and not seen.deployments.value:
        do = "choose the operator's namespace with -n, or install the chart bitagent-operator there"
        yield bad(Area.OPERATOR, f"{where} has no operator", do)
    for each in seen.deployments.value:
        yield _deployment(each, seen.namespace, missing=bad)
    for each in seen.page.value:
        yield _deployment(each, seen.namespace, missing=warn)  # rounds and weights work without it
    if len(seen.deployments.value) > 1:
        yield warn(Area.OPERATOR, f"{where} has several operators, of which one acts", "remove the others")
    yield from _lease(seen)
    yield from unread(Area.OPERATOR, "the operator's configuration", seen.config)


def _deployment(found: Obj, namespace: str, *, missing: Callable[[Area, str, str], Finding]) -> Finding:
    """Return whether its pods are ready; `missing` is what it means if they are not, and are not about to be."""
    status, name = found.get("status") or {}, found["metadata"]["name"]
    ready, desired = int(status.get("readyReplicas") or 0), int((found.get("spec") or {}).get("replicas", 1))
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    text = f"Deployment {name}: {ready} of {desired} ready, image {image}"
    if ready and ready >= desired:
        return ok(Area.OPERATOR, text)
    rollout = condition(status, "Progressing")
    if rollout.get("status") == "True" and rollout.get("reason") != _ROLLED_OUT:
        return warn(Area.OPERATOR, f"{text}; it starts", f"kubectl -n {namespace} rollout status deployment/{name}")
    do = f"kubectl -n {namespace} logs deployment/{name}, and describe deployment {name}"
    return missing(Area.OPERATOR, text, do)


def _elsewhere(seen: Seen) -> str:
    """Return the namespace of a release that operates this one from there; empty: none does."""
    holder = str(((seen.lease.value or {}).get("spec") or {}).get("holderIdentity") or "")
    return holder.partition("/")[0] if holder.count("/") == 2 else ""


def _lease(seen: Seen) -> Iterator[Finding]:
    yield from unread(Area.OPERATOR, "the operator's Lease", seen.lease)
    if seen.lease.refused or not (seen.deployments.value or _elsewhere(seen)):
        return
    spec = (seen.lease.value or {}).get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), parse_time(spec.get("renewTime"))
    if not holder or renewed is None:
        yield bad(Area.OPERATOR, "no operator holds the Lease: none acts", "read the operator's log")
        return
    old = (seen.now - renewed).total_seconds()
    text = f"{holder} holds the Lease, renewed {duration(old)} ago"
    do = "read the operator's log: it may have lost the API server"
    yield ok(Area.OPERATOR, text) if old <= LEASE_SECONDS else bad(Area.OPERATOR, text, do)


def rights(seen: Seen) -> Iterator[Finding]:
    """Yield what the operator may not do, and what the person at the terminal may not."""
    yield from unread(Area.RIGHTS, "the operator's rights", seen.operator_rights)
    asked = seen.operator_rights.value
    if missing := [right for right in asked if not right.allowed]:
        do = "upgrade the operator's chart: it brings the Role (templates/rbac.yaml)"
        yield bad(Area.RIGHTS, f"the operator may not {as_words(missing)}", do)
    elif asked:
        yield ok(Area.RIGHTS, f"the operator has all of its {len(asked)} rights")
    yield from unread(Area.RIGHTS, "your own rights", seen.own_rights)
    for right in seen.own_rights.value:
        if not right.allowed:
            verbs = OF_PERSON[Question(right.group, right.resource, right.verb)]
            text = f"you may not {as_words([right])}, which these verbs need: {verbs}"
            yield warn(Area.RIGHTS, text, "ask for it, if you need them")


def objects(seen: Seen) -> Iterator[Finding]:
    """Yield objects that stand still for good."""
    for plural, read in seen.objects.items():
        yield from unread(Area.OBJECTS, plural, read)
        stalled = [obj for obj in read.value if condition(obj.get("status") or {}, "Stalled").get("status") == "True"]
        for obj in stalled[:_SHOWN] if plural != "minermodels" else []:
            found, name = condition(obj.get("status") or {}, "Stalled"), obj["metadata"]["name"]
            short = "er" if plural == "evalrounds" else "val"
            do = f"kubectl bitagent explain {short} {name} -n {seen.namespace}"
            text = f"{name} stands still: {found.get('reason')}: {found.get('message') or ''}".rstrip(": ")
            yield warn(Area.OBJECTS, text, do)
        if not read.refused:
            yield ok(Area.OBJECTS, f"{len(read.value)} {plural}, {len(stalled)} of them stand still")
