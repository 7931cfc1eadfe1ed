"""The operator's chart: rendered objects, permissions and network of its pods, and refused values."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.generate import KINDS
from bitagent_crds.names import MINERS_EGRESS_LABEL, Component, Egress
from bitagent_crds.progress import PROGRESS_PORT
from bitagent_crds.schema import manifest
from bitagent_operator import config, naming
from bitagent_operator.manifests import rbac

LOCAL = "examples/demo/values-local.yaml"
NOT_AGGREGATED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"create": False}, {}),
    ({}, {"crds": {"install": False}}),
]
MADE_BY_OPERATOR = {"app.kubernetes.io/managed-by": "bitagent-operator"}


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-operator")


@pytest.fixture(scope="module")
def default(helm: Any) -> Any:
    return helm.render()


def configuration(rendered: Any) -> config.Config:
    return config.parse(rendered.one("ConfigMap")["data"]["config.yaml"], origin="chart")


@pytest.mark.parametrize("files", [(), (LOCAL,)], ids=["default", "local"])
def test_lint_finds_nothing(helm: Any, root: Path, files: tuple[str, ...]) -> None:
    assert "0 chart(s) failed" in helm.lint(files=tuple(root / f for f in files))


@pytest.mark.parametrize("files", [(), (LOCAL,)], ids=["default", "local"])
def test_pods_are_restricted(
    helm: Any, root: Path, unrestricted: Callable[..., list[str]], files: tuple[str, ...]
) -> None:
    rendered = helm.render(files=tuple(root / f for f in files))
    assert unrestricted(rendered.objects) == []


def test_a_pod_is_ready_to_follow_before_another_ends(default: Any) -> None:
    spec = default.one("Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    (container,) = spec["template"]["spec"]["containers"]
    (pod,) = [e for e in container["env"] if e["name"] == "POD_NAME"]
    assert pod["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}, "the Lease's holder"
    assert configuration(default).deployment == default.one("Deployment")["metadata"]["name"]


def test_a_slow_start_is_not_ended(default: Any) -> None:
    (container,) = default.one("Deployment")["spec"]["template"]["spec"]["containers"]
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["httpGet"] == liveness["httpGet"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


@pytest.mark.parametrize("replicas", [1, 2])
def test_replicas(helm: Any, replicas: int) -> None:
    rendered = helm.render({"operator": {"replicas": replicas}})
    spec = rendered.one("Deployment")["spec"]
    assert spec["replicas"] == replicas
    budgets = [b["spec"] for b in rendered.all("PodDisruptionBudget")]
    several = replicas > 1
    assert budgets == ([{"minAvailable": 1, "selector": spec["selector"]}] if several else [])
    spread = spec["template"]["spec"].get("topologySpreadConstraints", [])
    assert [each["labelSelector"] for each in spread] == ([spec["selector"]] if several else [])


def test_metrics_of_a_pod_that_is_not_ready_can_be_read(default: Any) -> None:
    services = [s["spec"] for s in default.all("Service")]
    assert len(services) == 2
    assert all(s["publishNotReadyAddresses"] for s in services)


def held(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Every (group, resource, verb) of a Role; fails on a rule that has more than these."""
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in rules)
    return {triple for rule in rules for triple in product(rule["apiGroups"], rule["resources"], rule["verbs"])}


class TestPermissions:
    def test_are_what_the_operator_says_it_needs(self, default: Any) -> None:
        assert held(default.one("Role")["rules"]) == held(rbac.OPERATOR_RULES)

    def test_of_volumes_come_with_their_mode(self, helm: Any) -> None:
        rules = helm.render({"cache": {"mode": "VolumePerModel"}}).one("Role")["rules"]
        assert held(rules) == held([*rbac.OPERATOR_RULES, *rbac.VOLUME_RULES])

    def test_hold_no_secret_no_wildcard_and_no_pod(self, default: Any) -> None:
        triples = held(default.one("Role")["rules"])
        assert [t for t in triples if "*" in t or t[1].startswith("secrets")] == []
        assert {verb for _, resource, verb in triples if resource.startswith("pods")} <= {"get", "list", "watch"}
        assert {verb for *_, verb in triples}.isdisjoint({"escalate", "bind", "impersonate", "deletecollection"})

    def test_end_at_the_namespace(self, default: Any) -> None:
        assert not default.all("ClusterRole")
        assert not default.all("ClusterRoleBinding")
        (subject,) = default.one("RoleBinding")["subjects"]
        pod = default.one("Deployment")["spec"]["template"]["spec"]
        assert subject == {"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": "bitagent"}

    @pytest.mark.parametrize(
        ("values", "expected"),
        [({"rbac": {"aggregate": True}}, {"view", "edit"})]
        + [({"rbac": {"aggregate": True} | rbac_, **rest}, set()) for rbac_, rest in NOT_AGGREGATED],
        ids=["with definitions", "rbac elsewhere", "definitions elsewhere"],
    )
    def test_of_people_are_aggregated(self, helm: Any, values: dict[str, Any], expected: set[str]) -> None:
        roles = {role["metadata"]["name"].rpartition("-")[2]: role for role in helm.render(values).all("ClusterRole")}
        assert roles.keys() == expected
        for name, role in roles.items():
            assert role["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{name}"] == "true"
            verbs = {verb for _, _, verb in held(role["rules"])}
            assert ("create" in verbs) == (name == "edit")
            assert {resource for _, resource, _ in held(role["rules"])} == {"minermodels", "evalrounds", "validators"}


class TestDefinitions:
    def test_are_the_contract(self, default: Any) -> None:
        contract = {d["metadata"]["name"]: d for d in map(manifest, KINDS)}
        rendered = {d["metadata"]["name"]: d for d in default.all("CustomResourceDefinition")}
        assert len(contract) == 3
        assert {name: d["spec"] for name, d in rendered.items()} == {name: d["spec"] for name, d in contract.items()}

    @pytest.mark.parametrize(("keep", "expected"), [(True, "keep"), (False, None)], ids=["kept", "removed"])
    def test_outlive_the_release(self, helm: Any, keep: bool, expected: str | None) -> None:
        found = helm.render({"crds": {"keep": keep}}).all("CustomResourceDefinition")
        assert {d["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for d in found} == {expected}

    def test_can_come_from_elsewhere(self, helm: Any) -> None:
        assert helm.render({"crds": {"install": False}}).all("CustomResourceDefinition") == []


class TestConfiguration:
    def test_an_image_of_the_examiner(self, helm: Any) -> None:
        sizes = {"examiner": {"resources": {"memory": "2Gi"}}}
        found = configuration(helm.render({"images": {"examiner": "e.example/thin:1"}, "validator": sizes}))
        assert found.images.examiner == "e.example/thin:1"
        assert found.validator.examiner.resources.memory == "2Gi"

    def test_default(self, default: Any) -> None:
        found = configuration(default)
        assert found.namespace == "bitagent"
        assert found.images.evaluator == "registry.example.org/bitagent/evaluator:0.1.0"
        assert found.images.examiner == ""
        assert found.cache.max_bytes == 450_000_000_000
        claims = {c["metadata"]["name"] for c in default.all("PersistentVolumeClaim")}
        assert claims == {found.cache.claim_name, found.artifacts.claim_name}

    @pytest.mark.parametrize("storage_class", [None, "", "fast"])
    def test_a_volume_for_each_model(self, helm: Any, storage_class: str | None) -> None:
        rendered = helm.render({"cache": {"mode": "VolumePerModel", "storageClassName": storage_class}})
        found = configuration(rendered)
        assert (found.cache.per_model, found.cache.storage_class_name) == (True, storage_class)
        claims = {c["metadata"]["name"] for c in rendered.all("PersistentVolumeClaim")}
        assert claims == {found.artifacts.claim_name}, "no shared one"

    def test_local_world(self, helm: Any, root: Path) -> None:
        found = configuration(helm.render(files=(root / LOCAL,)))
        assert found.hub.endpoint == "http://hub.bitagent-world:8080"
        assert found.jobs.env == ({"name": "PYTHONPATH", "value": "/opt/site"},)
        assert [m["name"] for m in found.jobs.volume_mounts] == [v["name"] for v in found.jobs.volumes]

    def test_a_change_restarts_the_pod(self, helm: Any, default: Any) -> None:
        def checksum(rendered: Any) -> str:
            return str(rendered.one("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

        assert checksum(helm.render({"relistSeconds": 60})) != checksum(default)
        assert checksum(helm.render({"metrics": {"service": False}})) == checksum(default)

    @pytest.mark.parametrize(
        ("images", "expected"),
        [
            ({"registry": "r.example"}, "r.example/operator:0.1.0"),
            ({"registry": "r.example", "tag": "7"}, "r.example/operator:7"),
            ({"operator": "o@sha256:1", "tag": "7"}, "o@sha256:1"),
        ],
        ids=["registry", "tag", "reference"],
    )
    def test_image_references(self, helm: Any, images: dict[str, str], expected: str) -> None:
        (container,) = helm.render({"images": images}).one("Deployment")["spec"]["template"]["spec"]["containers"]
        assert container["image"] == expected

    def test_pull_secrets_reach_operator_and_configuration(self, helm: Any) -> None:
        rendered = helm.render({"images": {"pullSecrets": ["mine"]}})
        assert configuration(rendered).image_pull_secrets == ("mine",)
        assert rendered.one("Deployment")["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "mine"}]

    def test_pod_reads_the_file_that_the_chart_writes(self, default: Any) -> None:
        pod = default.one("Deployment")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        env = {e["name"]: e.get("value") for e in container["env"]}
        mount = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}["config"]
        volume = {v["name"]: v for v in pod["volumes"]}["config"]
        assert volume["configMap"]["name"] == default.one("ConfigMap")["metadata"]["name"]
        assert env[config.CONFIG_VARIABLE] == f"{mount}/config.yaml"

    def test_ports_are_those_that_the_operator_opens(self, default: Any) -> None:
        (container,) = default.one("Deployment")["spec"]["template"]["spec"]["containers"]
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        assert ports == {"health": configuration(default).health_port, "metrics": configuration(default).metrics_port}


class TestArchive:
    VALUES = {"url": "s3://bucket/x", "secretName": "s3"}

    def test_there_is_none_by_default(self, default: Any) -> None:
        assert configuration(default).archive is None

    def test_values_reach_the_configuration(self, helm: Any) -> None:
        more = {"endpoint": "https://s3.example", "caConfigMap": "authorities", "region": "eu", "pathStyle": False}
        found = configuration(helm.render({"archive": self.VALUES | more})).archive
        assert found == config.Archive.model_validate(self.VALUES | more)

    def test_what_is_empty_is_absent(self, helm: Any) -> None:
        found = configuration(helm.render({"archive": self.VALUES})).archive
        assert found is not None
        assert (found.endpoint, found.ca_config_map, found.path_style) == (None, None, True)

    def test_its_pods_reach_it_and_nothing_else(self, default: Any, root: Path) -> None:
        values = yaml.safe_load((root / "charts/bitagent-operator/values.yaml").read_text())
        labels = naming.labels(Component.ARCHIVE, {}).items()
        policies = (p["spec"] for p in default.all("NetworkPolicy"))
        (spec,) = [s for s in policies if s["podSelector"]["matchLabels"].items() <= labels]
        assert spec["egress"][1:] == values["networkPolicy"]["archive"]
        assert "ingress" not in spec


class TestPods:
    PLACEMENT = {
        "nodeSelector": {"pool": "cpu"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "affinity": {"podAffinity": {}},
        "labels": {"team": "a"},
        "annotations": {"cost": "1"},
        "priorityClassName": "low",
        "runtimeClassName": "sandboxed",
    }

    @pytest.mark.parametrize("kind", ["", "fetch", "taskSet", "archive", "evaluate"])
    def test_placement_reaches_the_configuration(self, helm: Any, kind: str) -> None:
        values = {kind: self.PLACEMENT} if kind else self.PLACEMENT
        jobs = configuration(helm.render({"jobs": values})).jobs.model_dump(by_alias=True, mode="json")
        assert self.PLACEMENT.items() <= (jobs[kind] if kind else jobs).items()

    def test_placement_of_validators_reaches_the_configuration(self, helm: Any) -> None:
        found = configuration(helm.render({"validator": self.PLACEMENT})).validator
        assert self.PLACEMENT.items() <= found.model_dump(by_alias=True, mode="json").items()

    def test_sizes_and_queues_reach_the_configuration(self, helm: Any) -> None:
        own = {"cpuLimit": "2", "ephemeralStorage": "9Gi", "queueName": "batch"}
        jobs = configuration(helm.render({"jobs": {"fetch": own, "evaluate": {"cpuLimit": "8"}}})).jobs
        assert (jobs.fetch.cpu_limit, jobs.fetch.ephemeral_storage, jobs.fetch.queue_name) == ("2", "9Gi", "batch")
        assert (jobs.fetch.cpu, jobs.task_set.queue_name, jobs.evaluate.cpu_limit) == ("1", "", "8")

    def test_fetching_reaches_the_configuration(self, helm: Any, default: Any) -> None:
        token = {"name": "bitagent-job-hub", "key": "token"}
        found = configuration(helm.render({"fetch": {"maxParallel": 3}, "hub": {"tokenSecretRef": token}}))
        assert (found.fetch.max_parallel, found.fetch.max_resolutions) == (3, 32)
        assert found.hub.token_secret_ref is not None
        assert found.hub.token_secret_ref.name == token["name"]
        assert configuration(default).hub.token_secret_ref is None

    @pytest.mark.parametrize("user", [65532, 1000, None], ids=["default", "other", "the platform's"])
    def test_user(self, helm: Any, user: int | None) -> None:
        rendered = helm.render({"securityContext": {"runAsUser": user}})
        assert configuration(rendered).security_context.run_as_user == user
        security = rendered.one("Deployment")["spec"]["template"]["spec"]["securityContext"]
        expected = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), user) if user is not None else {}
        assert {k: v for k, v in security.items() if k in ("runAsUser", "runAsGroup", "fsGroup")} == expected
        assert security["runAsNonRoot"]


class TestRetention:
    def test_there_is_none_by_default(self, default: Any) -> None:
        assert configuration(default).retention is None

    @pytest.mark.parametrize(
        "values", [{"ttlSeconds": 0}, {"roundsPerValidator": 3}, {"minFreeBytes": 2**40}], ids=lambda v: next(iter(v))
    )
    def test_each_value_reaches_the_configuration(self, helm: Any, values: dict[str, int]) -> None:
        assert configuration(helm.render({"retention": values})).retention == config.Retention.model_validate(values)


class TestVolumes:
    def claim(self, rendered: Any) -> Any:
        return rendered.one("PersistentVolumeClaim", "bitagent-operator-models")

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, {}), ("", {"storageClassName": ""}), ("fast", {"storageClassName": "fast"})],
        ids=repr,
    )
    def test_storage_class(self, helm: Any, value: str | None, expected: dict[str, str]) -> None:
        spec = self.claim(helm.render({"cache": {"storageClassName": value}}))["spec"]
        assert {k: v for k, v in spec.items() if k == "storageClassName"} == expected

    def test_static_volume(self, helm: Any) -> None:
        assert self.claim(helm.render({"cache": {"volumeName": "pv-1"}}))["spec"]["volumeName"] == "pv-1"

    def test_existing_claim_is_used_and_not_made(self, helm: Any) -> None:
        rendered = helm.render({"cache": {"existingClaim": "mine"}})
        assert configuration(rendered).cache.claim_name == "mine"
        (made,) = rendered.all("PersistentVolumeClaim")
        assert made["metadata"]["name"] == "bitagent-operator-artifacts"

    def test_results_stay_and_the_cache_goes_on_uninstall(self, default: Any) -> None:
        kept = {
            c["metadata"]["name"]: c["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
            for c in default.all("PersistentVolumeClaim")
        }
        assert kept == {"bitagent-operator-models": None, "bitagent-operator-artifacts": "keep"}


class TestNetworkPolicies:
    def policy(self, rendered: Any, component: str) -> Any:
        selector = {"matchLabels": {**MADE_BY_OPERATOR, "app.kubernetes.io/component": component}}
        (found,) = [p for p in rendered.all("NetworkPolicy") if p["spec"]["podSelector"] == selector]
        assert found["spec"]["policyTypes"] == ["Ingress", "Egress"]
        return found["spec"]

    @pytest.mark.parametrize("component", sorted(set(Component) - {Component.REWRITER}))
    def test_every_kind_of_pod_that_the_operator_makes_is_selected_once(
        self, default: Any, component: Component
    ) -> None:
        """But a rewriter's, which the operator gives policies of its own."""
        labels = naming.labels(component, {}).items()
        selectors = [p["spec"]["podSelector"]["matchLabels"].items() for p in default.all("NetworkPolicy")]
        assert len([s for s in selectors if s <= labels]) == 1

    @pytest.mark.parametrize("component", ["task-set", "retention"])
    def test_nothing_in_nothing_out(self, default: Any, component: str) -> None:
        assert set(self.policy(default, component)) == {"podSelector", "policyTypes"}

    def operator(self, rendered: Any) -> tuple[Any, Any]:
        """The labels of the operator's pods, and the spec of their policy."""
        labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        policies = (p["spec"] for p in rendered.all("NetworkPolicy"))
        (spec,) = [s for s in policies if s["podSelector"]["matchLabels"].items() <= labels.items()]
        return labels, spec

    def test_the_progress_of_evaluations_is_read_by_the_operator_alone(self, default: Any) -> None:
        labels, operator = self.operator(default)
        spec = self.policy(default, "evaluate")
        (rule,) = spec["ingress"]
        (peer,) = rule["from"]
        assert set(spec) == {"podSelector", "policyTypes", "ingress"}  # nothing out
        assert set(peer) == {"podSelector"} and peer["podSelector"] == operator["podSelector"]
        assert peer["podSelector"]["matchLabels"].items() <= labels.items()
        assert rule["ports"] == [{"protocol": "TCP", "port": PROGRESS_PORT}]
        (way,) = [r for r in operator["egress"] if r["ports"] == rule["ports"]]
        assert way["to"] == [{"podSelector": spec["podSelector"]}]

    def test_no_other_pod_of_a_job_lets_anybody_in(self, default: Any) -> None:
        assert all(
            "ingress" not in self.policy(default, each) for each in ("task-set", "fetch", "archive", "retention")
        )

    def allowed(self, rendered: Any, *places: Egress) -> list[Any]:
        """Egress rules that hold for a task-set pod with these labels, of all policies together."""
        labels = naming.labels(Component.TASK_SET, {}) | {place.value: "true" for place in places}
        specs = [p["spec"] for p in rendered.all("NetworkPolicy")]
        mine = [s for s in specs if s["podSelector"]["matchLabels"].items() <= labels.items()]
        assert {"Ingress", "Egress"} in [set(s["policyTypes"]) for s in mine]
        assert all("ingress" not in s for s in mine)
        return [rule for s in mine for rule in s.get("egress", [])]

    @pytest.mark.parametrize("place", list(Egress))
    def test_a_label_adds_name_servers_and_one_place(self, default: Any, root: Path, place: Egress) -> None:
        dns, rule = self.allowed(default, place)
        assert {p["port"] for p in dns["ports"]} == {53}
        values = yaml.safe_load((root / "charts/bitagent-operator/values.yaml").read_text())
        assert [rule] == values["networkPolicy"][place.value.removeprefix("bitagent.io/egress-")]

    def test_labels_add_up(self, default: Any) -> None:
        assert len(self.allowed(default, *Egress)) == 2 * len(Egress)

    @pytest.mark.parametrize(
        "address",
        [
            "10.96.0.1", "172.20.0.1", "192.168.1.1", "100.64.0.1",  # a cluster's own, and its neighbours
            "169.254.169.254", "127.0.0.1", "0.0.0.0", "192.0.0.192",  # metadata services and the node itself
            "224.0.0.1", "255.255.255.255",
        ],
    )  # fmt: skip
    def test_an_address_of_the_authors_choice_is_not_private(self, default: Any, address: str) -> None:
        _, web = self.allowed(default, Egress.WEB)
        (block,) = [peer["ipBlock"] for peer in web["to"]]
        assert any(ip_address(address) in ip_network(net) for net in block["except"])

    @pytest.mark.parametrize("address", ["8.8.8.8", "104.18.0.1", "199.232.1.1", "223.255.255.254"])
    def test_a_public_address_may_be_named(self, default: Any, address: str) -> None:
        _, web = self.allowed(default, Egress.WEB)
        (block,) = [peer["ipBlock"] for peer in web["to"]]
        assert not any(ip_address(address) in ip_network(net) for net in block["except"])
        assert {p["port"] for p in web["ports"]} == {80, 443}

    @pytest.mark.parametrize("place", ["hub", "web", "rewriter"])
    def test_no_rules_no_way_out(self, helm: Any, place: str) -> None:
        rendered = helm.render({"networkPolicy": {place: []}})
        assert self.allowed(rendered, Egress(f"bitagent.io/egress-{place}")) == []

    def test_fetch_reaches_name_servers_and_public_https_only(self, default: Any) -> None:
        spec = self.policy(default, "fetch")
        dns, hub = spec["egress"]
        assert "ingress" not in spec
        assert {p["port"] for p in dns["ports"]} == {53}
        (block,) = [peer["ipBlock"] for peer in hub["to"]]
        assert [p["port"] for p in hub["ports"]] == [443]
        assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])

    def test_validator_reaches_name_servers_api_server_and_chain(self, default: Any) -> None:
        ports = [{p["port"] for p in rule["ports"]} for rule in self.policy(default, "validator")["egress"]]
        assert ports == [{53}, {443, 6443}, {443, 9944}]

    def test_a_validator_that_asks_miners_reaches_all_ports_of_public_addresses(self, helm: Any, default: Any) -> None:
        plain = naming.labels(Component.VALIDATOR, {})
        labels = {**plain, MINERS_EGRESS_LABEL: "true"}

        def added(rendered: Any) -> list[Any]:
            specs = [p["spec"] for p in rendered.all("NetworkPolicy")]
            chosen = [s for s in specs if s["podSelector"]["matchLabels"].items() <= labels.items()]
            return [s for s in chosen if not s["podSelector"]["matchLabels"].items() <= plain.items()]

        (spec,) = added(default)
        (rule,) = spec["egress"]
        (block,) = [peer["ipBlock"] for peer in rule["to"]]
        assert rule["ports"] == [{"protocol": "TCP", "port": 1, "endPort": 65535}]
        for address in ("10.96.0.1", "169.254.169.254", "127.0.0.1", "100.64.0.1", "224.0.0.1"):
            assert any(ip_address(address) in ip_network(net) for net in block["except"])
        assert added(helm.render({"networkPolicy": {"miners": []}})) == []

    def test_operator_reaches_name_servers_and_api_server(self, default: Any) -> None:
        _, spec = self.operator(default)
        assert [{p["port"] for p in rule["ports"]} for rule in spec["egress"]] == [{53}, {443, 6443}, {PROGRESS_PORT}]

    @pytest.mark.parametrize(
        ("files", "number"), [((), 11), ((LOCAL,), 12)], ids=["default", "local, with the public page"]
    )
    def test_no_rule_opens_to_everybody_by_an_empty_list(
        self, helm: Any, root: Path, files: tuple[str, ...], number: int
    ) -> None:
        policies = helm.render(files=tuple(root / f for f in files)).all("NetworkPolicy")
        assert len(policies) == number
        for policy in policies:
            assert all(rule.get("to") and rule.get("ports") for rule in policy["spec"].get("egress", []))
            assert all(rule.get("from") for rule in policy["spec"].get("ingress", []))

    def test_nobody_scrapes_when_nobody_is_named(self, helm: Any) -> None:
        policies = helm.render({"networkPolicy": {"metricsFrom": []}}).all("NetworkPolicy")
        assert [p["metadata"]["name"] for p in policies if "ingress" in p["spec"]] == ["bitagent-operator-evaluate"]

    def test_can_be_switched_off(self, helm: Any) -> None:
        assert helm.render({"networkPolicy": {"enabled": False}}).all("NetworkPolicy") == []


def test_pod_monitor_on_request(helm: Any, default: Any) -> None:
    assert default.all("PodMonitor") == []
    values = {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    monitor = helm.render(values).one("PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize("release", ["x", "r" * 53], ids=["short", "longest"])
def test_names_fit(helm: Any, release: str) -> None:
    objects = helm.render(release=release).objects
    assert max(len(o["metadata"]["name"]) for o in objects) <= 63
    assert len({(o["kind"], o["metadata"]["name"]) for o in objects}) == len(objects)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"image": {}}, "'image' not allowed"),
        ({"images": {"tags": "1"}}, "'tags' not allowed"),
        ({"cache": {"maxbytes": 1}}, "'maxbytes' not allowed"),
        ({"cache": {"maxBytes": "1Gi"}}, "/cache/maxBytes"),
        ({"cache": {"accessModes": []}}, "/cache/accessModes"),
        ({"cache": {"size": "a lot"}}, "/cache/size"),
        ({"artifacts": {"maxBytes": 1}}, "'maxBytes' not allowed"),
        ({"jobs": {"evaluate": {"memory": "1Gi"}}}, "'memory' not allowed"),
        ({"jobs": {"fetch": {"queue": "q"}}}, "'queue' not allowed"),
        ({"jobs": {"nodeSelector": {"a": 1}}}, "/jobs/nodeSelector/a"),
        ({"jobs": {"taskSet": {"cpuLimit": "much"}}}, "/jobs/taskSet/cpuLimit"),
        ({"fetch": {"maxParallel": 0}}, "/fetch/maxParallel"),
        ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
        ({"hub": {"tokenSecretRef": {"name": "wallet", "key": "hotkey"}}}, "/hub/tokenSecretRef/name"),
        ({"jobs": {"env": [{"value": "1"}]}}, "/jobs/env/0"),
        ({"hub": {"endpoint": "huggingface.co"}}, "/hub/endpoint"),
        ({"relistSeconds": 0}, "/relistSeconds"),
        ({"operator": {"replicas": "2"}}, "/operator/replicas"),
        ({"networkPolicy": {"dns": []}}, "/networkPolicy/dns"),
        ({"networkPolicy": {"apiServer": {"to": []}}}, "/networkPolicy/apiServer/to"),
        ({"networkPolicy": {"hub": [{"ports": []}]}}, "/networkPolicy/hub/0"),
        ({"networkPolicy": {"web": [{"to": []}]}}, "/networkPolicy/web/0/to"),
        ({"networkPolicy": {"rewriter": [{"ports": []}]}}, "/networkPolicy/rewriter/0"),
        ({"serviceAccount": {"automount": False}}, "'automount' not allowed"),
        ({"global": {"imageRegistry": "https://mirror"}}, "/global/imageRegistry"),
        ({"images": {"digests": {"operator": "sha256:1"}}}, "/images/digests/operator"),
        ({"images": {"digests": {"operater": "sha256:" + "a" * 64}}}, "'operater' not allowed"),
        ({"proxy": {"https": "proxy:3128"}}, "/proxy/https"),
        ({"proxy": {"noProxy": ["a,b"]}}, "/proxy/noProxy/0"),
        ({"caBundle": {"key": "a/b"}}, "/caBundle/key"),
        ({"networkPolicy": {"proxy": [{"ports": []}]}}, "/networkPolicy/proxy/0"),
        ({"jobs": {"fetch": {"env": [{"value": "1"}]}}}, "/jobs/fetch/env/0"),
        ({"jobs": {"topologySpreadConstraints": [{"maxSkew": 1}]}}, "/jobs/topologySpreadConstraints/0"),
        ({"operator": {"podDisruptionBudget": {"minAvailable": "half"}}}, "/operator/podDisruptionBudget"),
        ({"metrics": {"serviceMonitor": {"scrapeTimeout": "long"}}}, "/metrics/serviceMonitor/scrapeTimeout"),
        ({"fullnameOverride": "1"}, "/fullnameOverride"),
        ({"extraObjects": {"kind": "Secret"}}, "/extraObjects"),
        ({"metrics": {"podMonitor": {"interval": "often"}}}, "/metrics/podMonitor/interval"),
        ({"crds": {"enabled": True}}, "'enabled' not allowed"),
        ({"validator": {"resources": {"gpu": 1}}}, "/validator/resources"),
        ({"archive": {"url": "s3://bucket/x"}}, "secretName"),
        ({"archive": {"url": "https://bucket"}}, "url"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_schema_refuses(helm: Any, values: dict[str, Any], where: str) -> None:
    assert where in helm.refusal(values)
