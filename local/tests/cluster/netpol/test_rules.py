"""NetworkPolicy to nftables: each case is one policy with three pods, and the chain that follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_local.cluster.netpol.rules import Pod, Port, ruleset, selects

WEB = Port("web", "TCP", 8000)


APP = Pod("shop", "app", {"app": "app", "tier": "back"}, "10.0.0.2", (WEB,))


CLIENT = Pod("shop", "client", {"app": "client"}, "10.0.0.3")


DNS = Pod("kube-system", "dns", {"k8s-app": "kube-dns"}, "10.0.0.4", (Port("web", "TCP", 9153),))


NAMESPACES = {"shop": {"team": "a"}, "kube-system": {"kubernetes.io/metadata.name": "kube-system"}}


def policy(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "p"},
        "spec": {"podSelector": {"matchLabels": {"app": "client"}}, **spec},
    }


def chain(rules: str, name: str) -> list[str]:
    """The lines of a pod's chain; the name is direction and pod."""
    direction, _, pod = name.partition(" ")
    lines = rules.splitlines()
    start = next(
        i for i, line in enumerate(lines) if line.startswith(f"  chain {direction}-") and line.endswith(f"# {pod}")
    )
    return [line.strip() for line in lines[start + 1 : lines.index("  }", start)]]


def rules_of(*policies: dict[str, Any], pods: tuple[Pod, ...] = (APP, CLIENT, DNS)) -> str:
    return ruleset(pods=pods, namespaces=NAMESPACES, policies=policies)


EGRESS = [
    pytest.param([], ["counter drop"], id="nothing allowed"),
    pytest.param([{}], ["return", "counter drop"], id="empty rule allows all"),
    pytest.param([{"to": []}], ["return", "counter drop"], id="empty list of peers allows all"),
    pytest.param(
        [{"ports": [{"port": 443}]}],
        ["tcp dport 443 return", "counter drop"],
        id="TCP is the protocol if none is given",
    ),
    pytest.param(
        [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 1000, "endPort": 1999}]}],
        ["udp dport 53 return", "tcp dport 1000-1999 return", "counter drop"],
        id="several ports and a range",
    ),
    pytest.param(
        [{"ports": [{"protocol": "UDP"}]}], ["meta l4proto udp return", "counter drop"], id="a protocol without a port"
    ),
    pytest.param(
        [{"to": [{"podSelector": {"matchLabels": {"app": "app"}}}]}],
        ["ip daddr 10.0.0.2 return", "counter drop"],
        id="pods of the same namespace",
    ),
    pytest.param(
        [{"to": [{"podSelector": {}}]}],
        ["ip daddr { 10.0.0.2, 10.0.0.3 } return", "counter drop"],
        id="all pods of the same namespace, and no others",
    ),
    pytest.param(
        [{"to": [{"namespaceSelector": {}}]}],
        ["ip daddr { 10.0.0.2, 10.0.0.3, 10.0.0.4 } return", "counter drop"],
        id="all pods of all namespaces",
    ),
    pytest.param(
        [
            {
                "to": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                    }
                ],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}],
            }
        ],
        ["ip daddr 10.0.0.4 udp dport 53 return", "ip daddr 10.0.0.4 tcp dport 53 return", "counter drop"],
        id="DNS in another namespace",
    ),
    pytest.param(
        [{"to": [{"podSelector": {"matchLabels": {"app": "missing"}}}]}],
        ["counter drop"],
        id="a peer that matches no pod allows nothing",
    ),
    pytest.param(
        [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16", "except": ["10.9.1.0/24", "10.9.2.0/24"]}}]}],
        ["ip daddr 10.9.0.0/16 ip daddr != { 10.9.1.0/24, 10.9.2.0/24 } return", "counter drop"],
        id="addresses with exceptions",
    ),
    pytest.param([{"to": [{"ipBlock": {"cidr": "fd00::/8"}}]}], ["counter drop"], id="IPv6 does not exist here"),
    pytest.param(
        [{"ports": [{"port": "web"}]}],
        ["ip daddr 10.0.0.2 tcp dport 8000 return", "ip daddr 10.0.0.4 tcp dport 9153 return", "counter drop"],
        id="a port by name is each receiver's own",
    ),
    pytest.param(
        [{"to": [{"podSelector": {}}], "ports": [{"port": "web"}]}],
        ["ip daddr 10.0.0.2 tcp dport 8000 return", "counter drop"],
        id="a port by name of the chosen receivers only",
    ),
    pytest.param(
        [{"ports": [{"port": "web", "protocol": "UDP"}]}], ["counter drop"], id="a port by name under another protocol"
    ),
]


@pytest.mark.parametrize(("rules", "expected"), EGRESS)
def test_egress(rules: list[dict[str, Any]], expected: list[str]) -> None:
    made = rules_of(policy(policyTypes=["Egress"], egress=rules))
    assert chain(made, "egress shop/client") == expected


INGRESS = [
    pytest.param([], ["counter drop"], id="nothing allowed"),
    pytest.param(
        [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": "web"}]}],
        ["ip saddr 10.0.0.3 tcp dport 8000 return", "counter drop"],
        id="a port by name is the pod's own",
    ),
    pytest.param(
        [{"ports": [{"port": "web"}, {"port": 9000}]}],
        ["tcp dport 9000 return", "tcp dport 8000 return", "counter drop"],
        id="from everywhere",
    ),
    pytest.param([{"ports": [{"port": "missing"}]}], ["counter drop"], id="a name that the pod lacks"),
]


@pytest.mark.parametrize(("rules", "expected"), INGRESS)
def test_ingress(rules: list[dict[str, Any]], expected: list[str]) -> None:
    made = rules_of(policy(podSelector={"matchLabels": {"app": "app"}}, policyTypes=["Ingress"], ingress=rules))
    assert chain(made, "ingress shop/app") == expected


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        pytest.param({}, {"ingress"}, id="ingress by default"),
        pytest.param({"egress": []}, {"ingress", "egress"}, id="egress rules imply egress"),
        pytest.param({"policyTypes": ["Egress"]}, {"egress"}, id="egress only"),
        pytest.param({"policyTypes": ["Ingress", "Egress"]}, {"ingress", "egress"}, id="both"),
    ],
)
def test_policy_types(spec: dict[str, Any], directions: set[str]) -> None:
    made = rules_of(policy(**spec))
    assert {line.split("-")[0].split()[1] for line in made.splitlines() if line.endswith("# shop/client")} == directions


def test_policies_add_up() -> None:
    first = policy(policyTypes=["Egress"], egress=[{"ports": [{"port": 1}]}])
    second = policy(policyTypes=["Egress"], egress=[{"ports": [{"port": 2}]}, {"ports": [{"port": 1}]}])
    assert chain(rules_of(first, second), "egress shop/client") == [
        "tcp dport 1 return",
        "tcp dport 2 return",
        "counter drop",
    ]


def test_only_selected_pods_are_looked_up() -> None:
    made = rules_of(policy(policyTypes=["Egress"]))
    assert "10.0.0.3 : jump egress-2" in made
    assert "10.0.0.2 : jump" not in made
    assert made.count("vmap") == 2  # What the node forwards, and what it receives itself.


def test_a_policy_does_not_reach_other_namespaces() -> None:
    elsewhere = {
        **policy(podSelector={}, policyTypes=["Egress"]),
        "metadata": {"namespace": "kube-system", "name": "p"},
    }
    assert "shop/" not in rules_of(elsewhere)


def test_without_policies_everything_passes() -> None:
    made = rules_of()
    assert "drop" not in made
    assert made.startswith("table ip bitagent-netpol {}\ndelete table ip bitagent-netpol\n")


def test_the_order_of_pods_does_not_matter() -> None:
    one = policy(policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}])
    assert rules_of(one, pods=(APP, CLIENT, DNS)) == rules_of(one, pods=(DNS, CLIENT, APP))


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "app", "operator": "In", "values": ["app", "x"]}, True),
        ({"key": "app", "operator": "In", "values": ["x"]}, False),
        ({"key": "none", "operator": "In", "values": ["x"]}, False),
        ({"key": "app", "operator": "NotIn", "values": ["x"]}, True),
        ({"key": "none", "operator": "NotIn", "values": ["x"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["app"]}, False),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "none", "operator": "Exists"}, False),
        ({"key": "none", "operator": "DoesNotExist"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
    ids=str,
)
def test_match_expressions(expression: dict[str, Any], matches: bool) -> None:
    assert selects({"matchExpressions": [expression]}, APP.labels) is matches


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(selected=labels, present=labels)
def test_match_labels_is_inclusion(selected: dict[str, str], present: dict[str, str]) -> None:
    assert selects({"matchLabels": selected}, present) == (selected.items() <= present.items())
