"""Both charts with each set of options, judged by an API server: strict fields, warnings, restricted Pod Security.

The pods that the operator makes with the chart's configuration are judged as well. Definitions of the Prometheus
operator are there with open schemas; `make test-ecosystem` has the real ones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.unit.operator.conftest import Make

from bitagent_crds.jobs import CacheRoom
from bitagent_local.cluster.control_plane import control_plane
from bitagent_operator import config
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.plan.interface import StartFetch

if TYPE_CHECKING:
    from bitagent_local.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]
OPERATOR, VALIDATOR, MINER = (ROOT / "charts" / f"bitagent-{name}" for name in ("operator", "validator", "miner"))
FLEET = ROOT / "examples/fleet/values.yaml"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}

PLACED: Object = {
    "nodeSelector": {"pool": "a"},
    "tolerations": [{"key": "pool", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}}
            ]
        }
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"a": "b"}},
        }
    ],
    "priorityClassName": "urgent",
    "runtimeClassName": "sandboxed",
    "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "envFrom": [{"configMapRef": {"name": "more", "optional": True}}],
    "volumes": [{"name": "more", "emptyDir": {}}],
    "volumeMounts": [{"name": "more", "mountPath": "/more"}],
}  # fmt: skip
CARRIED: Object = {"labels": {"team": "a"}, "annotations": {"cost": "1"}}
RULES = [{"to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}]
SCRAPED: Object = {
    "enabled": True, "interval": "15s", "scrapeTimeout": "5s", **CARRIED,
    "relabelings": [{"targetLabel": "cluster", "replacement": "one"}],
    "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "go_.*", "action": "drop"}],
}  # fmt: skip
EVERYTHING: Object = {
    "global": {"imageRegistry": "mirror.internal:5000", "imagePullSecrets": ["pull"]},
    "fullnameOverride": "judge",
    "commonLabels": {"team": "a"},
    "commonAnnotations": {"owner": "b"},
    "images": {"digests": {"operator": "sha256:" + "a" * 64}, "pullSecrets": ["other"]},
    "cache": {"storageClassName": "fast", "keep": True},
    "archive": {"url": "s3://bucket/x", "secretName": "s3", "endpoint": "https://s3.example", "caConfigMap": "ca"},
    "retention": {"ttlSeconds": 1, "roundsPerValidator": 1, "minFreeBytes": 1},
    "hub": {"tokenSecretRef": {"name": "bitagent-job-hub", "key": "token"}},
    "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128"},
    "caBundle": {"configMap": "authorities"},
    "jobs": {
        **PLACED, **CARRIED,
        "fetch": {"cpuLimit": "2", "queueName": "q", **{k: v for k, v in PLACED.items() if "olume" not in k}},
        "taskSet": {"cpuLimit": "2"}, "archive": {"cpuLimit": "2"}, "evaluate": {"cpuLimit": "8", **CARRIED},
    },
    "validator": {**PLACED, **CARRIED, "resources": {"cpuLimit": "1"}},
    "operator": {
        **PLACED, "replicas": 2, "podLabels": {"a": "b"}, "podAnnotations": {"a": "b"},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
    },
    "rbac": {"aggregate": True},
    "networkPolicy": {"proxy": RULES},
    "metrics": {
        "podMonitor": SCRAPED, "serviceMonitor": SCRAPED, "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
    "leaderboard": {
        "enabled": True, "replicas": 2, "artifacts": True, "ingress": {"enabled": True, "host": "board.example"},
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        **{name: PLACED[name] for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "env")},
    },
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {"a": "b"}}
    ],
}  # fmt: skip
SETS: dict[str, tuple[Object, tuple[Path, ...]]] = {
    "default": ({}, ()),
    "everything": (EVERYTHING, ()),
    "production": ({}, (OPERATOR / "values-production.yaml",)),
    "small": ({}, (OPERATOR / "values-small.yaml",)),
    "local": ({}, (ROOT / "examples/demo/values-local.yaml",)),
    "openshift": ({"securityContext": {"runAsUser": None}}, ()),
    "volume for each model": ({"cache": {"mode": "VolumePerModel", "storageClassName": "fast"}}, ()),
}


class Cluster:
    """helm and kubectl on one API server, in namespace bitagent, which is restricted."""

    def __init__(self, plane: ControlPlane, home: Path) -> None:
        self.plane = plane
        folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        self.environment = {**os.environ, **folders, "KUBECONFIG": str(plane.kubeconfig), "HELM_NAMESPACE": "bitagent"}

    def helm(self, *args: str | Path, values: Object | None = None) -> str:
        return self._run([str(self.plane.binaries.helm), *map(str, args), "--values=-"], json.dumps(values or {}))

    def uninstall(self, name: str) -> None:
        self._run([str(self.plane.binaries.helm), "uninstall", name], None)
        self.kubectl("delete", "persistentvolumeclaims", "--all")

    def taken(self, objects: list[Object]) -> None:
        """Fail unless the API server would take all objects, with no word against them."""
        options = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._run(self.plane.kubectl("--namespace=bitagent", *options), text)

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self._run(self.plane.kubectl("--namespace=bitagent", *args), stdin)

    def _run(self, command: list[str], stdin: str | None) -> str:
        done = subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Without this controller no claim is ever really gone.
    with control_plane(controllers="persistentvolumeclaim-protection-controller") as plane:
        cluster = Cluster(plane, tmp_path_factory.mktemp("helm"))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bitagent", "labels": RESTRICTED}}
        own = [yaml.safe_load(file.read_text()) for file in sorted((OPERATOR / "files/crds").glob("*.yaml"))]
        others = [monitoring(kind) for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule")]
        classes = [
            {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}, "value": 1},
            {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": {"name": "sandboxed"},
                "handler": "any",
            },
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [namespace, *own, *others, *classes]})
        cluster.kubectl("apply", "--server-side", "--filename=-", stdin=text)
        names = [f"crd/{d['metadata']['name']}" for d in (*own, *others)]
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(account))
        yield cluster


def monitoring(kind: str) -> Object:
    """A definition that takes any spec."""
    plural, group = f"{kind.lower()}s", "monitoring.coreos.com"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


@pytest.fixture
def rendered(cluster: Cluster) -> Callable[..., list[Object]]:
    """Function: the objects of a chart with values and files."""

    def objects(chart: Path, values: Object, files: tuple[Path, ...]) -> list[Object]:
        given = [word for file in files for word in ("--values", str(file))]
        text = cluster.helm("template", "mine", chart, "--namespace=bitagent", *given, values=values)
        return [o for o in yaml.load_all(text, Loader=yaml.CSafeLoader) if o]

    return objects


@pytest.mark.parametrize("name", sorted(SETS))
def test_operator_chart_and_its_pods_are_taken(
    cluster: Cluster, rendered: Callable[..., list[Object]], name: str
) -> None:
    objects = rendered(OPERATOR, *SETS[name])
    cluster.taken(objects)
    # Pods are judged as such, too: a Deployment is only warned about.
    pods = {o["metadata"]["name"]: o["spec"]["template"] for o in objects if o["kind"] == "Deployment"}
    (text,) = [o["data"]["config.yaml"] for o in objects if "config.yaml" in o.get("data", {})]
    made = list(jobs_and_validators(config.parse(text, origin=name)))
    cluster.taken(made)
    pods |= {o["metadata"]["name"]: o["spec"]["template"] for o in made if "template" in o.get("spec", {})}
    assert len(pods) == (5 if name in ("everything", "local") else 4)  # these have the public page
    for template in pods.values():
        pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": dict(template["spec"])}
        pod["spec"].pop("serviceAccountName", None)
        priority = pod["spec"].get("priorityClassName")
        assert priority == ("urgent" if name == "everything" else None)
        cluster.taken([pod])


def jobs_and_validators(settings: config.Config) -> Iterator[Object]:
    """What the operator makes with this configuration."""
    make = Make()
    start = StartFetch("need", make.T0, 1, commit="1" * 40)
    yield fetch_job(settings, make.model("m"), start, CacheRoom())
    yield task_set_job(settings, make.round(), 1)
    yield from validator_objects(settings, make.validator())


@pytest.mark.parametrize("files", [(), (FLEET,)], ids=["one validator", "fleet"])
def test_validator_chart_is_taken(
    cluster: Cluster, rendered: Callable[..., list[Object]], files: tuple[Path, ...]
) -> None:
    cluster.taken(rendered(VALIDATOR, {"labels": {"a": "b"}, "annotations": {"a": "b"}}, files))


def test_miner_chart_is_taken(cluster: Cluster, rendered: Callable[..., list[Object]]) -> None:
    names = (
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
        "env",
        "envFrom",
        "volumes",
        "volumeMounts",
    )
    more = {name: PLACED[name] for name in names}
    values = {
        "model": {"url": "http://vllm:8000/v1", "name": "a", "keySecretRef": {"name": "key", "key": "key"}},
        "commonLabels": {"team": "a"}, "podLabels": {"a": "b"}, "podAnnotations": {"a": "b"},
        "runtimeClassName": "sandboxed", "announce": {"address": "203.0.113.7"},
        "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
        "metrics": {"podMonitor": {"enabled": True, "labels": {"a": "b"}}},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}], "egress": RULES},
    }  # fmt: skip
    objects = rendered(MINER, values | more, ())
    cluster.taken(objects)
    (template,) = (o["spec"]["template"] for o in objects if o["kind"] == "Deployment")
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": template["spec"]}
    cluster.taken([probe])


def test_an_installer_needs_no_right_beyond_the_namespace(cluster: Cluster) -> None:
    """Where another release has the definitions, with every option and what its notes look for."""
    rules = [
        {"apiGroups": [group], "resources": ["*"], "verbs": ["*"]}
        for group in (
            "", "apps", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "bitagent.io", "batch",
            "coordination.k8s.io", "events.k8s.io", "kueue.x-k8s.io", "monitoring.coreos.com",
        )
    ]  # fmt: skip
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "installer"}, "rules": rules}
    reference = {"apiGroup": rbac, "kind": "Role", "name": "installer"}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": "installer"}]
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects}
    del binding["rules"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
    cluster.kubectl("apply", "--filename=-", stdin=text)
    own = ("mine", OPERATOR, "--kube-as-user=installer", "--set=crds.install=false")
    cluster.helm("install", *own, values=EVERYTHING)
    notes = cluster.helm("upgrade", *own, values=EVERYTHING).partition("NOTES:")[2]
    assert "! Secret pull (images.pullSecrets) does not exist" in notes
    cluster.uninstall("mine")


@pytest.mark.parametrize("name", ["production", "small"])
def test_values_files_are_installed_and_upgraded(cluster: Cluster, name: str) -> None:
    values = ("--values", OPERATOR / f"values-{name}.yaml", "--set=crds.install=false,images.registry=r.example/b")
    cluster.helm("install", "mine", OPERATOR, *values)
    notes = cluster.helm("upgrade", "mine", OPERATOR, *values).partition("NOTES:")[2]
    assert "watches namespace bitagent" in notes
    assert "\n! " not in notes
    cluster.plane.api.get("/apis/apps/v1/namespaces/bitagent/deployments/mine-bitagent-operator")
    cluster.uninstall("mine")


def documented_manifests() -> dict[str, str]:
    """Objects that docs and charts' notes apply by `kubectl apply -f - <<X`, by file and place."""
    found = {}
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, match in enumerate(re.finditer(r"apply [^\n]*<<(\w+)\n(.*?)\n +\1\n", page.read_text(), re.DOTALL)):
            found[f"{page.name}-{number}"] = textwrap.dedent(match[2])
    return found


@pytest.mark.parametrize("place", documented_manifests())
def test_documented_manifests_are_taken_in_a_restricted_namespace(cluster: Cluster, place: str) -> None:
    objects = list(yaml.safe_load_all(documented_manifests()[place]))
    cluster.taken([o for o in objects if o])
