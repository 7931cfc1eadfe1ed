"""A Validator's ServiceAccount, Role, RoleBinding and Deployment: one pod, the only one that mounts a hotkey.

Keys of seeds that competitions share with other validators are mounted beside it, a file for each competition.

If a competition asks miners online, a second container, the examiner, reads task sets and scores answers. It shares a
socket with the validator's container and nothing else: it has neither the hotkey nor a token for the API server. It is
no init container, so that the validator works while the examiner's image cannot be pulled.
"""

from __future__ import annotations

from bitagent_crds.examiner import EXAMINER_MOUNT, EXAMINER_SOCKET
from bitagent_crds.fields import SecretKey
from bitagent_crds.names import ARTIFACTS_MOUNT, MINERS_EGRESS_LABEL, VALIDATOR_LABEL, Component, short_hash
from bitagent_crds.schema import Model
from bitagent_crds.tracking import TRACKING_KEY_FILE
from bitagent_kube.objects import Obj
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.manifests.job import (
    ENVIRONMENT,
    SECURITY,
    claim,
    mount,
    owner_reference,
    pod_security,
    pull_secrets,
    temporary,
    without_gpu,
)
from bitagent_operator.manifests.placement import pod_members, unique
from bitagent_operator.manifests.rbac import validator_rules
from bitagent_operator.observed.objects import ValidatorObject

WALLET_MOUNT = "/etc/bitagent/wallet"
HOTKEY_FILE = "hotkey"
SEEDS_MOUNT = "/etc/bitagent/seeds"
"""Where the validator looks for these keys (`bitagent_validator.competitions.seed_secrets`)."""
SPEC_HASH = "bitagent.io/spec-hash"
"""Pod annotation that changes when the pod must be replaced: a hash of chain, subnet and the Secrets' names."""
ENDPOINTS_MOUNT = "/etc/bitagent/endpoints"
"""Where the validator looks for the addresses of `chain.endpointsSecretRef` (`bitagent_validator.chain.endpoints`)."""
ENDPOINTS_FILE = "endpoints"
HEALTH_PORT, METRICS_PORT = 8080, 9090
START_SECONDS = 300
"""Time in which the process has to serve its health: a node that is busy may need minutes to start it."""
API_ACCESS_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where clients look for a pod's token."""
TOKEN_SECONDS = 3607
"""Life of a token, as the API server's own admission gives it; the kubelet renews it in time."""


def validator_objects(config: Config, validator: ValidatorObject) -> tuple[Obj, ...]:
    """Return all objects, in the order in which they are to be applied."""
    name = naming.validator_objects_name(validator.meta.name)
    labels = naming.labels(Component.VALIDATOR, {VALIDATOR_LABEL: validator.meta.name})
    metadata = {
        "name": name,
        "namespace": config.namespace,
        "labels": labels,
        "ownerReferences": [owner_reference("Validator", validator.meta)],
    }
    rbac = "rbac.authorization.k8s.io"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": validator_rules(
            validator.meta.name,
            competitions=[competition.id for competition in validator.spec.competitions],
            netuid=validator.spec.netuid,
            hotkey=validator.hotkey,
            discovers=(found := validator.spec.discovery) is not None
            and (found.commitments is not None or found.axons is not None),
        ),
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": config.namespace}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 0 if validator.spec.suspend else 1,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "Recreate"},  # two pods must never use one hotkey
            "template": {
                "metadata": {
                    "labels": {**config.validator.labels, **labels, **_egress(validator)},
                    "annotations": {**config.validator.annotations, SPEC_HASH: _spec_hash(validator)},
                },
                "spec": _pod(config, validator, name),
            },
        },
    }
    return account, role, binding, deployment


def _egress(validator: ValidatorObject) -> dict[str, str]:
    """Return the label of a pod that connects to miners; it is none of those that select the Deployment's pods."""
    spec = validator.spec
    asks = asks_online(validator) or (spec.discovery is not None and spec.discovery.axons is not None)
    return {MINERS_EGRESS_LABEL: "true"} if asks else {}


def asks_online(validator: ValidatorObject) -> bool:
    """Whether a competition of the Validator asks miners online."""
    return any(competition.online is not None for competition in validator.spec.competitions)


def _spec_hash(validator: ValidatorObject) -> str:
    spec = validator.spec
    parts: tuple[Model, ...] = (spec.chain, spec.wallet)
    seeds = (f"{competition}={reference.name}/{reference.key}" for competition, reference in _seed_keys(validator))
    return short_hash(str(spec.netuid), *(p.model_dump_json() for p in parts), *seeds, digits=16)


def _seed_keys(validator: ValidatorObject) -> list[tuple[str, SecretKey]]:
    """Return the key of a Secret of each competition that shares its seeds."""
    return [(c.id, key) for c in validator.spec.competitions if (key := c.round.tasks.secret_ref) is not None]


def _pod(config: Config, validator: ValidatorObject, account: str) -> Obj:
    key = validator.spec.wallet.hotkey_secret_ref
    command = ["bitagent-validator", "run", "--name", validator.meta.name, "--namespace", config.namespace]
    container: Obj = {
        "name": "validator",
        "image": config.images.validator,
        "imagePullPolicy": config.image_pull_policy,
        "command": command,
        "env": list(unique("name", ENVIRONMENT, config.validator.env)),
        **({"envFrom": list(config.validator.env_from)} if config.validator.env_from else {}),
        "ports": [{"name": "health", "containerPort": HEALTH_PORT}, {"name": "metrics", "containerPort": METRICS_PORT}],
        "startupProbe": _probe("/healthz", periodSeconds=1, failureThreshold=START_SECONDS, timeoutSeconds=5),
        "livenessProbe": _probe("/healthz", periodSeconds=20, failureThreshold=6, timeoutSeconds=5),
        "readinessProbe": _probe("/readyz", periodSeconds=5, timeoutSeconds=5),
        "resources": without_gpu(config.validator.resources),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            mount("wallet", WALLET_MOUNT, read_only=True),
            mount("tmp", "/tmp"),  # noqa: S108 - the container's own emptyDir
            *config.validator.volume_mounts,
        ],
    }
    seeds = [
        {"secret": {"name": key.name, "items": [{"key": key.key, "path": competition}]}}
        for competition, key in _seed_keys(validator)
    ]
    if seeds:
        container["volumeMounts"].append(mount("seeds", SEEDS_MOUNT, read_only=True))
    endpoints = validator.spec.chain.endpoints_secret_ref
    if endpoints is not None:
        container["volumeMounts"].append(mount("endpoints", ENDPOINTS_MOUNT, read_only=True))
    if (tracked := _tracking_key(validator)) is not None:
        container["volumeMounts"].append(mount("tracking", TRACKING_KEY_FILE.rpartition("/")[0], read_only=True))
    wallet = _secret_file(key, HOTKEY_FILE)
    online = asks_online(validator)
    if online:
        container["volumeMounts"] += [
            mount("examiner", EXAMINER_MOUNT),
            mount("api-access", API_ACCESS_MOUNT, read_only=True),
        ]
    return (
        {
            "containers": [container, *([_examiner(config)] if online else [])],
            **({"automountServiceAccountToken": False} if online else {}),
            "enableServiceLinks": False,
            "securityContext": pod_security(config),
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 30,
            "volumes": [
                {"name": "wallet", "secret": wallet},
                *([{"name": "endpoints", "secret": _secret_file(endpoints, ENDPOINTS_FILE)}] if endpoints else []),
                *(_optional("tracking", tracked, TRACKING_KEY_FILE.rpartition("/")[2]) if tracked else ()),
                *([{"name": "seeds", "projected": {"defaultMode": 0o440, "sources": seeds}}] if seeds else []),
                temporary(container["resources"]),
                *config.validator.volumes,
                *(_examiner_volumes(config) if online else ()),
            ],
        }
        | pull_secrets(config)
        | pod_members(config.validator)
    )


def _examiner(config: Config) -> Obj:
    settings = config.validator.examiner
    return {
        "name": "examiner",
        "image": config.images.examiner or config.images.evaluator,
        "imagePullPolicy": config.image_pull_policy,
        "command": ["bitagent-eval", "examiner", "--socket", EXAMINER_SOCKET, "--artifacts", ARTIFACTS_MOUNT],
        "env": list(unique("name", ENVIRONMENT, settings.env)),
        **({"envFrom": list(settings.env_from)} if settings.env_from else {}),
        "resources": without_gpu(settings.resources),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            mount("examiner", EXAMINER_MOUNT),
            mount("artifacts", ARTIFACTS_MOUNT, read_only=True),
            mount("examiner-tmp", "/tmp"),  # noqa: S108 - the container's own emptyDir
            *settings.volume_mounts,
        ],
    }


def _examiner_volumes(config: Config) -> tuple[Obj, ...]:
    """Return the volume of the socket, the artifact volume, and the token that the validator's container alone has."""
    token = {"path": "token", "expirationSeconds": TOKEN_SECONDS}
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [{"serviceAccountToken": token}, {"configMap": authority}, {"downwardAPI": {"items": [namespace]}}]
    return (
        {"name": "examiner", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "examiner-tmp", "emptyDir": {"sizeLimit": config.validator.examiner.resources.ephemeral_storage}},
        claim("artifacts", config.artifacts.claim_name, read_only=True),
        {"name": "api-access", "projected": {"defaultMode": 0o444, "sources": sources}},
        *config.validator.examiner.volumes,
    )


def _tracking_key(validator: ValidatorObject) -> SecretKey | None:
    """Return the key of a Secret with which runs are sent."""
    tracking = validator.spec.tracking
    return tracking.wandb.api_key_secret_ref if tracking is not None and tracking.wandb is not None else None


def _optional(name: str, key: SecretKey, path: str) -> tuple[Obj]:
    """Return a volume of a Secret without which the pod starts all the same."""
    return ({"name": name, "secret": {**_secret_file(key, path), "optional": True}},)


def _secret_file(key: SecretKey, path: str) -> Obj:
    return {"secretName": key.name, "defaultMode": 0o440, "items": [{"key": key.key, "path": path}]}


def _probe(path: str, **settings: int) -> Obj:
    return {"httpGet": {"path": path, "port": "health"}, **settings}
