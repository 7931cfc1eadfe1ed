"""What a Validator needs to run: ServiceAccount, Role, RoleBinding, Deployment. One pod at a time, the only one that sees a hotkey."""

from __future__ import annotations

from bitagent_crds.schema import Model
from bitagent_operator import naming
from bitagent_operator.config import Config
from bitagent_operator.naming import Component
from bitagent_operator.observed import Obj, ValidatorObject
from bitagent_operator.pods.common import (
    SECURITY,
    mount,
    owner_reference,
    pod_security,
    pull_secrets,
    without_gpu,
)
from bitagent_operator.rbac import validator_rules

WALLET_MOUNT = "/etc/bitagent/wallet"
HOTKEY_FILE = "hotkey"
SPEC_HASH = "bitagent.io/spec-hash"
"""Pod annotation: changes when the pod must start anew. Follows from the chain, the subnet and the key's name; holds no secret."""
HEALTH_PORT, METRICS_PORT = 8080, 9090


def build(config: Config, validator: ValidatorObject) -> tuple[Obj, ...]:
    """All objects, in the order in which they are to be applied."""
    name = naming.validator_objects(validator.meta.name)
    labels = naming.labels(Component.VALIDATOR, validator=validator.meta.name)
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
        "rules": validator_rules(validator.meta.name),
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
            "strategy": {"type": "Recreate"},  # never two pods with one hotkey
            "template": {
                "metadata": {"labels": labels, "annotations": {SPEC_HASH: _spec_hash(validator)}},
                "spec": _pod(config, validator, name),
            },
        },
    }
    return account, role, binding, deployment


def _spec_hash(validator: ValidatorObject) -> str:
    spec = validator.spec
    parts: tuple[Model, ...] = (spec.chain, spec.wallet)
    return naming.short_hash(str(spec.netuid), *(p.model_dump_json() for p in parts), digits=16)


def _pod(config: Config, validator: ValidatorObject, account: str) -> Obj:
    key = validator.spec.wallet.hotkey_secret_ref
    command = ["bitagent-validator", "run", "--name", validator.meta.name, "--namespace", config.namespace]
    container: Obj = {
        "name": "validator",
        "image": config.images.validator,
        "imagePullPolicy": config.image_pull_policy,
        "command": command,
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the root file system is read-only
            {"name": "USER", "value": "app"},
            *config.validator.env,
        ],
        "ports": [{"name": "health", "containerPort": HEALTH_PORT}, {"name": "metrics", "containerPort": METRICS_PORT}],
        "livenessProbe": _probe("/healthz", periodSeconds=20, failureThreshold=6, timeoutSeconds=5),
        "readinessProbe": _probe("/readyz", periodSeconds=5, timeoutSeconds=5),
        "resources": without_gpu(config.validator.resources),
        "securityContext": SECURITY,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            mount("wallet", WALLET_MOUNT, read_only=True),
            mount("tmp", "/tmp"),  # noqa: S108 - the container's own emptyDir
        ],
    }
    wallet = {"secretName": key.name, "defaultMode": 0o440, "items": [{"key": key.key, "path": HOTKEY_FILE}]}
    secrets = pull_secrets(config)
    return {
        "containers": [container],
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "serviceAccountName": account,
        "terminationGracePeriodSeconds": 30,
        "volumes": [{"name": "wallet", "secret": wallet}, {"name": "tmp", "emptyDir": {}}],
    } | ({"imagePullSecrets": secrets} if secrets else {})


def _probe(path: str, **settings: int) -> Obj:
    return {"httpGet": {"path": path, "port": "health"}, **settings}
