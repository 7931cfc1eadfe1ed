"""A Validator's rewriter: vLLM's OpenAI server on the evaluator image, a Service, and policies.

The pods load a model that was fetched and checked like a miner's, reach nothing, and are reached only by task-set Jobs
of this Validator's rounds. The server starts as `bitagent-eval serve`, which derives vLLM's arguments from the model.
"""

from __future__ import annotations

from bitagent_crds.jobs import CacheRoom, RewriterAddress
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.names import (
    COMPONENT_LABEL,
    MANAGED_BY_LABEL,
    MODEL_LABEL,
    MODEL_MOUNT,
    REWRITER_LABEL,
    VALIDATOR_LABEL,
    Component,
    cached_model_path,
    cached_volume_model_path,
)
from bitagent_crds.rewriter import SERVED_MODEL, Rewriter
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.job import (
    ENVIRONMENT,
    SECURITY,
    cpu_limit,
    mount,
    owner_reference,
    pod_security,
    pull_secrets,
)
from bitagent_operator.manifests.model_volume import cache_volume, same_node, volume_labels
from bitagent_operator.manifests.placement import Placed, placed, unique, with_pods_beside
from bitagent_operator.observed.objects import ModelObject, ValidatorObject
from bitagent_operator.plan.interface import StartFetch

CALLERS = "-callers"
"""Suffix of the policy that lets task-set pods out to the rewriter."""
PORT = 8000
"""Port of server and Service; the chart's policy for task-set pods names it, too."""
SHARED_MEMORY = "2Gi"
"""Size limit of /dev/shm; its contents count as the pod's memory."""
STARTUP_PERIOD = 5
PROBE_SECONDS = 30
"""Time limit of one liveness probe. It starts a process, which may take long on a busy node."""
STALL_CHECK = ["python3", "-m", "bitagent_evaluator.engines.stall", "--port", str(PORT)]
"""Fails while the server does not answer, or has requests and generates nothing."""


def rewriter_address(config: Config, validator: ValidatorObject) -> RewriterAddress | None:
    """Return what the task-set Job of a round is given; None while the model is not fetched, or without a rewriter."""
    spec, status = validator.spec.rewriter, validator.rewriter
    if spec is None or status is None or status.resolved is None:
        return None
    return RewriterAddress(
        url=f"http://{naming.rewriter_service(validator.meta.name)}.{config.namespace}:{PORT}/v1",
        model=served_model(status.resolved.commit),
        repo=status.repo,
        commit=status.resolved.commit,
        engine=spec.engine,
        image=config.images.evaluator,
    )


def rewriter_fetch_job(
    config: Config, validator: ValidatorObject, model: ModelObject, start: StartFetch, room: CacheRoom
) -> Obj:
    """Return the Job that fetches the rewriter's model: that of a MinerModel, but made for the Validator."""
    made = fetch_job(config, model, start, room)
    made["metadata"]["ownerReferences"] = [owner_reference("Validator", validator.meta)]
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
        labels = {k: v for k, v in metadata["labels"].items() if k != MODEL_LABEL}
        metadata["labels"] = labels | {VALIDATOR_LABEL: validator.meta.name}
    return made


def rewriter_objects(
    config: Config, validator: ValidatorObject, spec: Rewriter, *, commit: str, replicas: int
) -> tuple[Obj, ...]:
    """Return all objects, in the order in which they are to be applied: the policies before the pods."""
    owner = validator.meta.name
    name, labels = naming.rewriter_name(owner), naming.labels(Component.REWRITER, {VALIDATOR_LABEL: owner})
    metadata = {
        "name": name,
        "namespace": config.namespace,
        "labels": labels,
        "ownerReferences": [owner_reference("Validator", validator.meta)],
    }
    settings = _placed(config, spec)
    callers = {
        MANAGED_BY_LABEL: naming.MANAGER,
        COMPONENT_LABEL: Component.TASK_SET.value,
        REWRITER_LABEL: owner,
    }
    ports = [{"protocol": "TCP", "port": PORT}]
    own_pods, calling_pods = {"podSelector": {"matchLabels": labels}}, {"podSelector": {"matchLabels": callers}}
    served = own_pods | {
        "policyTypes": ["Ingress", "Egress"],  # no rule for egress: nothing is reachable
        "ingress": [{"from": [calling_pods], "ports": ports}],
    }
    calls = calling_pods | {"policyTypes": ["Egress"], "egress": [{"to": [own_pods], "ports": ports}]}
    return (
        _policy(metadata, served),
        _policy(metadata | {"name": f"{name}{CALLERS}"}, calls),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata | {"name": naming.rewriter_service(owner)},
            "spec": {"selector": labels, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata | {"labels": {**settings.labels, **labels}, "annotations": dict(settings.annotations)},
            "spec": {
                "replicas": replicas,
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": labels},
                # There may be no other GPU: a pod goes before the next one comes.
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
                "progressDeadlineSeconds": spec.start_timeout_seconds + 600,
                "template": {
                    "metadata": {
                        "labels": {**settings.labels, **labels, **volume_labels(config, model_directory(spec, commit))},
                        "annotations": dict(settings.annotations),
                    },
                    "spec": _pod(config, spec, commit),
                },
            },
        },
    )


def _policy(metadata: Obj, spec: Obj) -> Obj:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _pod(config: Config, spec: Rewriter, commit: str) -> Obj:
    size, settings = spec.resources, _placed(config, spec)
    gpus = {size.gpu_resource_name or config.gpu_resource_name: str(size.gpus)} if size.gpus else {}
    amounts = {"memory": size.memory, "ephemeral-storage": size.ephemeral_storage} | gpus
    container: Obj = {
        "name": Component.REWRITER.value,
        "image": config.images.evaluator,
        "imagePullPolicy": config.image_pull_policy,
        "command": ["bitagent-eval", "serve", MODEL_MOUNT, *_options(spec.engine, commit, gpus=size.gpus)],
        "env": list(unique("name", ENVIRONMENT, [{"name": "HF_HUB_OFFLINE", "value": "1"}], settings.env)),
        **settings.container,
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {
            "httpGet": {"path": "/health", "port": "http"},
            "periodSeconds": STARTUP_PERIOD,
            "timeoutSeconds": 5,
            "failureThreshold": -(-spec.start_timeout_seconds // STARTUP_PERIOD),
        },
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {
            "exec": {"command": STALL_CHECK},
            "periodSeconds": 60,
            "timeoutSeconds": PROBE_SECONDS,
            "failureThreshold": 3,
        },
        "resources": {
            "requests": {"cpu": size.cpu} | amounts,
            "limits": amounts | cpu_limit(config.jobs.evaluate.cpu_limit),
        },
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            mount("cache", MODEL_MOUNT, sub_path=model_directory(spec, commit), read_only=True),
            mount("tmp", "/tmp"),  # noqa: S108 - the container's own emptyDir
            mount("shm", "/dev/shm"),  # noqa: S108 - the pod's own
            *settings.mounts,
        ],
    }
    pod: Obj = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "enableServiceLinks": False,  # vLLM would read variables of other Services as its own
        "securityContext": pod_security(config),
        "terminationGracePeriodSeconds": 10,
        "volumes": [
            cache_volume(config, model_directory(spec, commit), read_only=True),
            {"name": "tmp", "emptyDir": {"sizeLimit": size.ephemeral_storage}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
            *settings.volumes,
        ],
    }
    scheduling: Obj = {
        "nodeSelector": dict(spec.node_selector),
        "tolerations": [{k: v for k, v in t.to_wire().items() if v} for t in spec.tolerations],
        "runtimeClassName": spec.runtime_class_name,
        "priorityClassName": spec.priority_class_name,
    }
    own = {name: value for name, value in scheduling.items() if value}
    members = settings.pod | own
    return pod | pull_secrets(config) | with_pods_beside(members, same_node(config, model_directory(spec, commit)))


def _placed(config: Config, spec: Rewriter) -> Placed:
    """Return the operator's settings for the pods: those of evaluations, which have GPUs too, or those of all Jobs."""
    return placed(config, Component.EVALUATE if spec.resources.gpus else Component.REWRITER)


def served_model(commit: str) -> str:
    """Return the name under which the server offers the model: a request for another commit is refused."""
    return f"{SERVED_MODEL}@{commit[:12]}"


def _options(engine: EngineChoices, commit: str, *, gpus: int) -> list[str]:
    options = [f"--name={SERVED_MODEL}", f"--name={served_model(commit)}", f"--port={PORT}", f"--gpus={gpus}"]
    options.append(f"--dtype={engine.dtype.value}")
    length = engine.max_model_length
    return [*options, f"--max-model-length={length}"] if length is not None else options


def model_directory(spec: Rewriter, commit: str) -> str:
    """Return the directory of the model in the cache. Raises ValueError for an empty source."""
    if spec.source.hugging_face is not None:
        return cached_model_path(spec.source.hugging_face.repo, commit)
    if spec.source.volume is not None:
        return cached_volume_model_path(spec.source.volume.claim_name, commit)
    raise ValueError("a model source has exactly one member")
