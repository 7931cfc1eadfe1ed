"""The operator chart's extension points: each value reaches every pod and object that it is for, and no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.names import Component
from bitagent_operator import config, naming

Object = dict[str, Any]
SPREAD = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
ADDITIONS: Object = {
    "env": [{"name": "ONE", "value": "1"}],
    "envFrom": [{"secretRef": {"name": "bitagent-job-env"}}],
    "volumes": [{"name": "extra", "emptyDir": {}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
}
PROXY = {"http": "http://proxy:3128", "https": "http://proxy:3129", "noProxy": [".svc", "hub.models"]}
TO_PROXY = {"to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]}
NETWORKED = ("fetch", "task_set", "archive")


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-operator")


def configuration(rendered: Any) -> config.Config:
    (found,) = [each for each in rendered.all("ConfigMap") if "config.yaml" in each["data"]]
    return config.parse(found["data"]["config.yaml"], origin="chart")


def pod(rendered: Any) -> Object:
    spec: Object = rendered.one("Deployment")["spec"]["template"]["spec"]
    return spec


def container(rendered: Any) -> Object:
    (found,) = pod(rendered)["containers"]
    only: Object = found
    return only


def test_every_template_has_the_labels_and_annotations_of_all(helm: Any) -> None:
    common = {"commonLabels": {"team": "a"}, "commonAnnotations": {"owner": "b"}}
    monitors = {kind: {"enabled": True} for kind in ("podMonitor", "serviceMonitor", "prometheusRule")}
    rendered = helm.render({**common, "metrics": monitors, "operator": {"replicas": 2}})
    without = [
        (o["kind"], o["metadata"]["name"])
        for o in rendered.objects
        if o["metadata"].get("labels", {}).get("team") != "a"
        or o["metadata"].get("annotations", {}).get("owner") != "b"
    ]
    assert without == []
    selector = rendered.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert "team" not in selector, "a selector cannot be changed later"
    kept = rendered.one("CustomResourceDefinition", "validators.bitagent.io")["metadata"]["annotations"]
    assert kept == {"owner": "b", "helm.sh/resource-policy": "keep"}


def test_common_labels_do_not_replace_ours(helm: Any) -> None:
    ours = {"app.kubernetes.io/component": "x", "app.kubernetes.io/instance": "x"}
    rendered = helm.render({"commonLabels": ours, "operator": {"podLabels": ours}})
    assert {o["metadata"]["labels"].get("app.kubernetes.io/instance") for o in rendered.objects} == {
        "bitagent-operator"
    }
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert rendered.one("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("section", ["", "fetch", "taskSet", "archive", "evaluate"])
def test_additions_of_jobs_reach_the_configuration(helm: Any, section: str) -> None:
    values = ADDITIONS | {"topologySpreadConstraints": SPREAD}
    jobs = configuration(helm.render({"jobs": {section: values} if section else values})).jobs
    found = jobs.model_dump(by_alias=True, mode="json")
    assert values.items() <= (found[section] if section else found).items()


def test_additions_of_validators_reach_the_configuration(helm: Any) -> None:
    values = ADDITIONS | {"topologySpreadConstraints": SPREAD}
    found = configuration(helm.render({"validator": values})).validator.model_dump(by_alias=True, mode="json")
    assert values.items() <= found.items()


def test_additions_of_the_operators_pod(helm: Any) -> None:
    rendered = helm.render({"operator": ADDITIONS | {"runtimeClassName": "sandboxed"}})
    made = container(rendered)
    assert (made["env"][-1], made["envFrom"]) == (ADDITIONS["env"][0], ADDITIONS["envFrom"])
    assert (made["volumeMounts"][-1], pod(rendered)["volumes"][-1]) == (
        ADDITIONS["volumeMounts"][0],
        ADDITIONS["volumes"][0],
    )
    assert pod(rendered)["runtimeClassName"] == "sandboxed"


@pytest.mark.parametrize(
    ("replicas", "value", "expected"),
    [
        (1, None, []),
        (2, None, ["kubernetes.io/hostname"]),
        (2, [], []),
        (1, SPREAD, ["zone"]),
    ],
    ids=["one", "two", "none", "own"],
)
def test_spread_of_pods(helm: Any, replicas: int, value: Any, expected: list[str]) -> None:
    settings = {"replicas": replicas, "topologySpreadConstraints": value}
    rendered = helm.render({"operator": settings, "leaderboard": {"enabled": True, **settings}})
    for name in ("bitagent-operator", "bitagent-operator-leaderboard"):
        spec = rendered.one("Deployment", name)["spec"]
        found = spec["template"]["spec"].get("topologySpreadConstraints", [])
        assert [each["topologyKey"] for each in found] == expected
        assert all(each["labelSelector"] == spec["selector"] for each in found)


def test_without_rbac_no_rights_are_granted(helm: Any) -> None:
    rendered = helm.render({"rbac": {"create": False}, "leaderboard": {"enabled": True}})
    assert rendered.all("Role") == rendered.all("RoleBinding") == []
    page = rendered.one("Deployment", "bitagent-operator-leaderboard")["spec"]["template"]["spec"]
    assert rendered.one("ServiceAccount", page["serviceAccountName"])


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ({}, [{"minAvailable": 1}]),
        ({"minAvailable": "50%"}, [{"minAvailable": "50%"}]),
        ({"maxUnavailable": 0}, [{"maxUnavailable": 0}]),
        ({"enabled": False}, []),
    ],
    ids=["default", "part", "none may be missing", "off"],
)
def test_disruption_budget(helm: Any, budget: Object, expected: list[Object]) -> None:
    rendered = helm.render({"operator": {"replicas": 2, "podDisruptionBudget": budget}})
    selector = rendered.one("Deployment")["spec"]["selector"]
    assert [b["spec"] for b in rendered.all("PodDisruptionBudget")] == [e | {"selector": selector} for e in expected]


class TestNetwork:
    def test_a_proxy_reaches_the_pods_that_use_the_public_network(self, helm: Any) -> None:
        found = configuration(helm.render({"proxy": PROXY, "jobs": {"fetch": ADDITIONS}}))
        direct = "localhost,127.0.0.1,.bitagent,.svc,hub.models"
        expected = {"HTTP_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://proxy:3129", "NO_PROXY": direct}
        for part in (*(getattr(found.jobs, name) for name in NETWORKED), found.validator):
            assert expected.items() <= {e["name"]: e["value"] for e in part.env}.items()
        assert found.jobs.fetch.env[-1] == ADDITIONS["env"][0], "a kind's own come later, and so count"
        assert found.jobs.env == found.jobs.evaluate.env == ()

    def test_without_a_proxy_there_is_no_variable(self, helm: Any) -> None:
        found = configuration(helm.render())
        assert all(getattr(found.jobs, name).env == () for name in NETWORKED)
        assert found.validator.env == ()

    def test_policies_let_the_pods_reach_the_proxy(self, helm: Any) -> None:
        rules = {"proxy": [TO_PROXY], "hub": [], "archive": [], "chain": []}
        policies = helm.render({"networkPolicy": rules}).all("NetworkPolicy")
        open_ = {p["metadata"]["name"] for p in policies if TO_PROXY in p["spec"].get("egress", [])}
        names = ("archive", "fetch", "task-set-hub", "task-set-web", "validator")
        assert open_ == {f"bitagent-operator-{name}" for name in names}

    def test_a_proxy_does_not_open_what_is_closed(self, helm: Any) -> None:
        policies = helm.render({"networkPolicy": {"proxy": [TO_PROXY], "web": []}}).all("NetworkPolicy")
        assert "bitagent-operator-task-set-web" not in {p["metadata"]["name"] for p in policies}

    def test_authorities_reach_the_same_pods(self, helm: Any) -> None:
        found = configuration(helm.render({"caBundle": {"configMap": "authorities", "key": "all.pem"}}))
        for part in (*(getattr(found.jobs, name) for name in NETWORKED), found.validator):
            ((volume), (mount)) = (*part.volumes, *part.volume_mounts)
            items = [{"key": "all.pem", "path": "ca.crt"}]
            assert volume == {"name": mount["name"], "configMap": {"name": "authorities", "items": items}}
            env = {e["name"]: e["value"] for e in part.env}
            assert env["SSL_CERT_FILE"] == env["REQUESTS_CA_BUNDLE"] == f"{mount['mountPath']}/ca.crt"
        assert found.jobs.volumes == found.jobs.evaluate.volumes == ()

    def test_a_policy_is_a_file(self, helm: Any, default_policies: list[str]) -> None:
        files = {p.stem for p in (helm.chart / "templates/networkpolicies").glob("*.yaml")}
        assert {name.removeprefix("bitagent-operator-") for name in default_policies} == files


@pytest.fixture(scope="module")
def default_policies(helm: Any) -> list[str]:
    return [p["metadata"]["name"] for p in helm.render().all("NetworkPolicy")]


class TestMonitors:
    @pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
    def test_settings(self, helm: Any, kind: str) -> None:
        relabelings = [{"targetLabel": "cluster", "replacement": "one"}]
        settings = {
            "enabled": True, "interval": "15s", "scrapeTimeout": "5s", "labels": {"release": "p"},
            "annotations": {"a": "b"}, "relabelings": relabelings, "metricRelabelings": relabelings,
        }  # fmt: skip
        made = helm.render({"metrics": {kind[0].lower() + kind[1:]: settings}}).one(kind)
        assert (made["metadata"]["labels"]["release"], made["metadata"]["annotations"]) == ("p", {"a": "b"})
        (endpoint,) = made["spec"]["podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"]
        assert endpoint == {
            "port": "metrics", "honorLabels": True, "interval": "15s", "scrapeTimeout": "5s",
            "relabelings": relabelings, "metricRelabelings": relabelings,
        }  # fmt: skip

    def test_a_service_monitor_selects_both_services(self, helm: Any) -> None:
        rendered = helm.render({"metrics": {"serviceMonitor": {"enabled": True}}})
        matched = rendered.one("ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
        selected = [
            s["metadata"]["name"] for s in rendered.all("Service") if matched <= s["metadata"]["labels"].items()
        ]
        assert selected == ["bitagent-operator-metrics", "bitagent-operator-validators"]

    def test_the_services_select_operator_and_validator_pods(self, helm: Any) -> None:
        rendered = helm.render()
        labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        operator = rendered.one("Service", "bitagent-operator-metrics")["spec"]
        assert operator["selector"].items() <= labels.items()
        validators = rendered.one("Service", "bitagent-operator-validators")["spec"]
        assert validators["clusterIP"] == "None", "every validator is a target"
        assert validators["selector"].items() <= naming.labels(Component.VALIDATOR, {}).items()


def test_names_and_account_of_ones_own(helm: Any) -> None:
    rendered = helm.render({"fullnameOverride": "judge", "serviceAccount": {"create": False, "name": "mine"}})
    assert rendered.one("Deployment")["metadata"]["name"] == "judge"
    assert configuration(rendered).deployment == "judge"
    assert rendered.all("ServiceAccount") == []
    assert pod(rendered)["serviceAccountName"] == rendered.one("RoleBinding")["subjects"][0]["name"] == "mine"


def test_extra_objects_may_contain_templates(helm: Any) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}}
    text = 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include "operator.fullname" . }}-b\n'
    rendered = helm.render({"extraObjects": [made, text]})
    assert rendered.one("ConfigMap", "bitagent-operator-a")
    assert rendered.one("Secret", "bitagent-operator-b")


def images(o: Any, key: str = "") -> Iterator[str]:
    """Every string under a key `image` or in a map `images`, at any depth, also of the operator's configuration."""
    if isinstance(o, dict):
        for name, value in o.items():
            if key == "images" or (name == "image" and isinstance(value, str)):
                yield value
            elif name == "config.yaml":
                yield from images(yaml.safe_load(value))
            else:
                yield from images(value, name)
    elif isinstance(o, list):
        for each in o:
            yield from images(each)


EVERYTHING_OF_IMAGES: Object = {"operator": {"replicas": 2}, "leaderboard": {"enabled": True}}


class TestRegistry:
    @pytest.fixture(scope="class")
    def options(self, helm: Any) -> Object:
        """Values that switch on whatever has an image."""
        known = yaml.safe_load((helm.chart / "values.yaml").read_text())
        return {name: value for name, value in EVERYTHING_OF_IMAGES.items() if name in known}

    @pytest.mark.parametrize(
        "given",
        [
            {"registry": "public.example/team"},
            {
                "operator": "public.example/o@sha256:1",
                "validator": "public.example:5000/a/v:2",
                "evaluator": "library/e",
            },
            {"registry": "localhost/team", "digests": {"operator": "sha256:" + "0" * 64}},
        ],
        ids=["registry", "references", "digests"],
    )
    def test_every_image_comes_from_it(self, helm: Any, options: Object, given: Object) -> None:
        values = {**options, "images": given, "global": {"imageRegistry": "mirror.internal:5000/hub/"}}
        rendered = helm.render(values)
        found = [image for o in rendered.objects if o["kind"] != "CustomResourceDefinition" for image in images(o)]
        assert len(found) >= 3
        assert [image for image in found if not image.startswith("mirror.internal:5000/hub/")] == []
        text = yaml.safe_dump_all(o for o in rendered.objects if o["kind"] != "CustomResourceDefinition")
        assert re.findall(r"(?:public\.example|localhost/)\S*", text) == [], "no reference in another place"

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("r.example/team/operator:1", "m.example/team/operator:1"),
            ("r.example:5000/operator@sha256:1", "m.example/operator@sha256:1"),
            ("localhost/operator", "m.example/operator"),
            ("team/operator:1", "m.example/team/operator:1"),
            ("operator", "m.example/operator"),
        ],
    )
    def test_the_path_stays(self, helm: Any, given: str, expected: str) -> None:
        rendered = helm.render({"images": {"operator": given}, "global": {"imageRegistry": "m.example"}})
        assert container(rendered)["image"] == expected

    def test_digests_replace_the_tag(self, helm: Any) -> None:
        digest = "sha256:" + "a" * 64
        rendered = helm.render({"images": {"registry": "r.example", "tag": "7", "digests": {"evaluator": digest}}})
        found = configuration(rendered).images
        assert (found.evaluator, found.validator) == (f"r.example/evaluator@{digest}", "r.example/validator:7")

    def test_pull_secrets_of_all_charts(self, helm: Any) -> None:
        values = {"global": {"imagePullSecrets": ["a"]}, "images": {"pullSecrets": ["b", "a"]}}
        rendered = helm.render(values)
        assert configuration(rendered).image_pull_secrets == ("a", "b")
        assert pod(rendered)["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


class TestAirGapped:
    """The values in docs/air-gapped.md."""

    @pytest.fixture(scope="class")
    def rendered(self, helm: Any) -> Any:
        text = (helm.chart.parents[1] / "docs/air-gapped.md").read_text()
        (values,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        return helm.render(yaml.safe_load(values) | {"leaderboard": {"enabled": True}})

    def test_images_come_from_the_mirror(self, rendered: Any) -> None:
        found = {image for o in rendered.objects if o["kind"] != "CustomResourceDefinition" for image in images(o)}
        names = {image.removeprefix("mirror.internal:5000/bitagent/").partition(":")[0] for image in found}
        assert names == {"operator", "validator", "evaluator", "leaderboard"}

    def test_no_pod_reaches_a_public_address(self, rendered: Any) -> None:
        policies = rendered.all("NetworkPolicy")
        rules = [rule for p in policies for rule in p["spec"].get("egress", ())]
        blocks = [ip_network(peer["ipBlock"]["cidr"]) for rule in rules for peer in rule["to"] if "ipBlock" in peer]
        assert len(blocks) >= 5
        assert [block for block in blocks if not block.is_private] == []

    def test_pods_trust_the_authorities(self, rendered: Any) -> None:
        found = configuration(rendered)
        assert found.hub.endpoint == "https://hub.internal"
        assert {e["name"] for e in found.jobs.fetch.env} == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}


class TestArtifactHub:
    """Annotations of Chart.yaml that a catalogue of charts reads."""

    @pytest.fixture(scope="class", params=["bitagent-operator", "bitagent-validator"])
    def metadata(self, request: pytest.FixtureRequest, helm: Any) -> Object:
        found: Object = yaml.safe_load((helm.chart.parent / request.param / "Chart.yaml").read_text())
        return found

    def test_licence_and_description(self, metadata: Object, helm: Any) -> None:
        licence = (helm.chart.parents[1] / "LICENSE").read_text().split()[0]
        assert metadata["annotations"]["artifacthub.io/license"] == licence
        assert metadata["description"]
        assert metadata["annotations"]["artifacthub.io/category"] == "ai-machine-learning"

    def test_kinds_and_examples(self, helm: Any) -> None:
        notes = yaml.safe_load((helm.chart / "Chart.yaml").read_text())["annotations"]
        listed = yaml.safe_load(notes["artifacthub.io/crds"])
        definitions = [yaml.safe_load(f.read_text()) for f in (helm.chart / "files/crds").glob("*.yaml")]
        assert {(c["kind"], c["version"], c["name"]) for c in listed} == {
            (d["spec"]["names"]["kind"], d["spec"]["versions"][0]["name"], d["metadata"]["name"]) for d in definitions
        }
        for example in yaml.safe_load(notes["artifacthub.io/crdsExamples"]):
            kinds = {"MinerModel": MinerModel, "EvalRound": EvalRound}
            kinds[example["kind"]].model_validate({"spec": example["spec"]})


class TestValuesFiles:
    @pytest.mark.parametrize("name", ["production", "small"])
    def test_lint_finds_nothing(self, helm: Any, name: str) -> None:
        assert "0 chart(s) failed" in helm.lint(files=(helm.chart / f"values-{name}.yaml",))

    @pytest.mark.parametrize("name", ["production", "small"])
    def test_pods_are_restricted(self, helm: Any, unrestricted: Callable[..., list[str]], name: str) -> None:
        rendered = helm.render(files=(helm.chart / f"values-{name}.yaml",))
        assert unrestricted(rendered.objects) == []
        found = configuration(rendered)
        size = rendered.one("PersistentVolumeClaim", "bitagent-operator-models")["spec"]["resources"]["requests"]
        number, unit = re.fullmatch(r"(\d+)(Gi|Ti)", size["storage"]).groups()  # type: ignore[union-attr]
        capacity = int(number) * {"Gi": 2**30, "Ti": 2**40}[unit]
        assert 0.8 * capacity < found.cache.max_bytes < 0.95 * capacity

    def test_production_survives_a_node_and_is_watched(self, helm: Any) -> None:
        rendered = helm.render(files=(helm.chart / "values-production.yaml",))
        assert rendered.one("Deployment")["spec"]["replicas"] == 2
        assert rendered.one("PodDisruptionBudget")
        assert rendered.one("PodMonitor")
        assert rendered.one("PrometheusRule")
        claims = rendered.all("PersistentVolumeClaim")
        assert {c["metadata"]["annotations"]["helm.sh/resource-policy"] for c in claims} == {"keep"}

    def test_small_fits_one_node(self, helm: Any) -> None:
        rendered = helm.render(files=(helm.chart / "values-small.yaml",))
        assert {m for c in rendered.all("PersistentVolumeClaim") for m in c["spec"]["accessModes"]} == {"ReadWriteOnce"}
        assert configuration(rendered).evaluations.max_parallel == 1
