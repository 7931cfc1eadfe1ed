"""All requests of `doctor`: each part is read apart, and what is refused is kept as the reason."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from bitagent_cli.configuration import OPERATOR, configuration
from bitagent_cli.doctor import probes
from bitagent_cli.doctor.definitions import PLURALS, definition_name
from bitagent_cli.doctor.rights import OF_PERSON, Question, account_of, of_operator
from bitagent_cli.doctor.seen import Probed, Read, Right, Seen
from bitagent_cli.explanation.pods import pod_row
from bitagent_cli.files.pod import PodSettings, settings_of
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import (
    CLAIMS,
    DEPLOYMENTS,
    LEASES,
    MODELS,
    NETWORK_POLICIES,
    PODS,
    ROUNDS,
    VALIDATORS,
    ApiResource,
)

T = TypeVar("T")
LEASE = "bitagent-operator"
_REVIEWS = "/apis/authorization.k8s.io/v1"
_AT_ONCE = 16


async def part(reading: Awaitable[T], empty: T) -> Read[T]:
    """Return what is read, or why not."""
    try:
        return Read(await reading)
    except ApiError as error:
        if error.reason == "NoAnswer":
            raise
        return Read(empty, "forbidden" if error.code == HTTPStatus.FORBIDDEN else error.message or str(error))


async def look(client: ClusterClient) -> Seen:
    """Read everything that needs no pod."""
    nothing: Sequence[Obj] = ()

    def of(resource: ApiResource, labels: str = "") -> Awaitable[Read[Sequence[Obj]]]:
        return part(client.list(resource, labels=labels), nothing)

    definitions, served, config, deployed, lease = await asyncio.gather(
        _definitions(client),
        part(client.served(ROUNDS), True),
        part(configuration(client), None),
        of(DEPLOYMENTS, OPERATOR),
        part(client.get(LEASES, LEASE), None),
    )
    deployments, page = _parts(deployed)
    classes, nodes, space = await asyncio.gather(
        part(client.items("/apis/storage.k8s.io/v1/storageclasses"), []),
        part(client.items("/api/v1/nodes"), []),
        part(_get(client, f"/api/v1/namespaces/{client.namespace}"), None),
    )
    claims, pods, policies = await asyncio.gather(of(CLAIMS), of(PODS), of(NETWORK_POLICIES))
    operator_rights, own_rights = await asyncio.gather(
        part(_operator_rights(client, deployments.value, config.value or {}), []), part(_own_rights(client), [])
    )
    kinds = {MODELS.plural: MODELS, ROUNDS.plural: ROUNDS, VALIDATORS.plural: VALIDATORS} if served.value else {}
    return Seen(
        namespace=client.namespace,
        now=client.clock.now(),
        server_version=client.server_version,
        definitions=definitions,
        served=served.value,
        config=config,
        deployments=deployments,
        lease=lease,
        page=page,
        operator_rights=Read(operator_rights.value, operator_rights.refused),
        own_rights=Read(own_rights.value, own_rights.refused),
        classes=Read(classes.value, classes.refused),
        claims=claims,
        nodes=Read(nodes.value, nodes.refused),
        space=space,
        pods=pods,
        policies=policies,
        objects={plural: await of(resource) for plural, resource in kinds.items()},
    )


def _parts(deployed: Read[Sequence[Obj]]) -> tuple[Read[Sequence[Obj]], Read[Sequence[Obj]]]:
    """Return the operators among the Deployments of the chart, and the public page."""
    page = [each for each in deployed.value if _component(each) == "leaderboard"]
    operators = [each for each in deployed.value if _component(each) != "leaderboard"]
    return Read(operators, deployed.refused), Read(page)


def _component(obj: Obj) -> str | None:
    return (obj["metadata"].get("labels") or {}).get("app.kubernetes.io/component")


async def _get(client: ClusterClient, path: str) -> Obj | None:
    try:
        return await client.read(path)
    except ApiError as error:
        if error.not_found:
            return None
        raise


async def _definitions(client: ClusterClient) -> dict[str, Read[Obj | None]]:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    found = await asyncio.gather(*(part(_get(client, f"{path}/{definition_name(each)}"), None) for each in PLURALS))
    return dict(zip(PLURALS, found, strict=True))


async def _operator_rights(client: ClusterClient, deployments: Sequence[Obj], config: Obj) -> list[Right]:
    """Ask the API server about each right of the operator; nothing without an operator."""
    if not deployments:
        return []
    user, groups = account_of(deployments[0])
    per_model = (config.get("cache") or {}).get("mode") == "VolumePerModel"
    path, kind = f"{_REVIEWS}/namespaces/{client.namespace}/localsubjectaccessreviews", "LocalSubjectAccessReview"
    about = {"user": user, "groups": list(groups)}
    return await _ask(client, of_operator(volume_per_model=per_model), path=path, kind=kind, about=about)


async def _own_rights(client: ClusterClient) -> list[Right]:
    path, kind = f"{_REVIEWS}/selfsubjectaccessreviews", "SelfSubjectAccessReview"
    return await _ask(client, list(OF_PERSON), path=path, kind=kind, about={})


async def _ask(
    client: ClusterClient, questions: Sequence[Question], *, path: str, kind: str, about: Obj
) -> list[Right]:
    slots = asyncio.Semaphore(_AT_ONCE)
    namespaced = {"metadata": {"namespace": client.namespace}} if kind.startswith("Local") else {}

    async def one(question: Question) -> Right:
        spec = about | {"resourceAttributes": question.attributes(client.namespace)}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, **namespaced, "spec": spec}
        async with slots:
            answer = await client.post(path, review)
        return question.answered(allowed=bool((answer.get("status") or {}).get("allowed")))

    return list(await asyncio.gather(*map(one, questions)))


async def with_probes(client: ClusterClient, seen: Seen, *, image: str, seconds: float) -> Seen:
    """Try with pods whether policies are enforced and the hub is reached; return what was seen, with the answers."""
    settings = settings_of(seen.config.value or {})
    used = image or next((_image(each) for each in seen.deployments.value), "") or settings.image
    if not used:
        nothing = Probed(None, "no image is known for its pods: give one with --image")
        return replace(seen, policies_probe=nothing, control_probe=nothing, hub_probe=nothing)
    endpoint = str(((seen.config.value or {}).get("hub") or {}).get("endpoint") or "https://huggingface.co")
    name = f"bitagent-probe-{secrets.token_hex(3)}"
    made = [
        _pod(settings, client, f"{name}-denied", used, probes.to_api_server(deny=True)),
        _pod(settings, client, f"{name}-control", used, probes.to_api_server(deny=False)),
        probes.as_fetch(_pod(settings, client, f"{name}-hub", used, probes.to_hub(endpoint))),
    ]
    policy = probes.denying_policy(name=f"{name}-denied", namespace=client.namespace, look=f"{name}-denied")
    try:
        denying = await client.create(policy)
    except ApiError as error:
        refused = Probed(None, f"a policy cannot be made: {error.message}")
        control, hub = await asyncio.gather(*(_tried(client, pod, seconds) for pod in made[1:]))
        return replace(seen, policies_probe=refused, control_probe=control, hub_probe=hub)
    try:
        denied, control, hub = await asyncio.gather(*(_tried(client, pod, seconds) for pod in made))
    finally:
        await asyncio.shield(
            client.delete(NETWORK_POLICIES, policy["metadata"]["name"], uid=denying["metadata"]["uid"])
        )
    return replace(seen, policies_probe=denied, control_probe=control, hub_probe=hub)


def _image(deployment: Obj) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _pod(settings: PodSettings, client: ClusterClient, name: str, image: str, program: str) -> Obj:
    return probes.probe_pod(settings, name=name, namespace=client.namespace, look=name, image=image, program=program)


async def _tried(client: ClusterClient, pod: Obj, seconds: float) -> Probed:
    """Make a pod, wait for its answer, and remove it."""
    try:
        made = await client.create(pod)
    except ApiError as error:
        return Probed(None, error.message or str(error))
    name, uid, last = made["metadata"]["name"], made["metadata"]["uid"], made
    try:
        async with asyncio.timeout(seconds):
            while True:
                listing = await client.listing(PODS, fields=f"metadata.name={name}")
                if not listing.items:
                    return Probed(None, f"pod {name} was deleted")
                last = listing.items[0]
                if (found := probes.answer(last)) is not None:
                    return found
                async for event in client.watch(PODS, version=listing.version, fields=f"metadata.name={name}"):
                    if event.type in ("ADDED", "MODIFIED"):
                        last = event.object
                        if (found := probes.answer(last)) is not None:
                            return found
    except TimeoutError:
        *_, phase, words = pod_row(last)
        return Probed(None, f"pod {name} has not ended after {seconds:g} s: {words or phase}")
    except ApiError as error:
        return Probed(None, error.message or str(error))
    finally:
        await asyncio.shield(client.delete(PODS, name, uid=uid))
