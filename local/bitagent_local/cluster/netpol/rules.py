"""NetworkPolicies as an nftables ruleset: a pure function.

A pod that a policy selects for a direction gets a chain of what is allowed in that direction, ending in a drop; other
pods have no chain. Chains are looked up by the pod's address. The ruleset replaces its own table in one transaction.

Packets are filtered where the node forwards them and where it receives them itself, after the translation of Service
addresses. Packets that the node sends (probes of the kubelet) are never filtered, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TABLE = "bitagent-netpol"
Labels = Mapping[str, str]
Policy = Mapping[str, Any]
"""A NetworkPolicy as the API server returns it."""


@dataclass(frozen=True)
class Port:
    """A named port of a container."""

    name: str
    protocol: str
    number: int


@dataclass(frozen=True)
class Pod:
    """The fields of a pod that policies refer to."""

    namespace: str
    name: str
    labels: Labels
    address: str
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True)
class PolicyPeer:
    """Addresses that a rule allows, with exceptions; no addresses means any."""

    addresses: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Direction:
    """Egress or ingress: the names of its fields in a policy and in a packet."""

    type: str
    key: str
    """Key of the policy's list of rules."""
    peers: str
    """Key of the rule's list of peers."""
    own: str
    """Field of the packet with the isolated pod's address."""
    other: str


EGRESS = Direction("Egress", "egress", "to", "saddr", "daddr")
INGRESS = Direction("Ingress", "ingress", "from", "daddr", "saddr")


def ruleset(*, pods: Sequence[Pod], namespaces: Mapping[str, Labels], policies: Sequence[Policy]) -> str:
    """Return input for `nft -f` that enforces the policies between the pods; `namespaces` maps names to labels."""
    chains: list[str] = []
    jumps: dict[Direction, list[str]] = {EGRESS: [], INGRESS: []}
    for index, pod in enumerate(sorted(pods, key=lambda pod: (pod.namespace, pod.name, pod.address))):
        for direction in (EGRESS, INGRESS):
            mine = [policy for policy in policies if _isolates(policy, pod, direction)]
            if not mine:
                continue
            allowed = [
                line
                for policy in mine
                for rule in policy["spec"].get(direction.key) or []
                for line in _rule(rule, direction, policy, pod, pods, namespaces)
            ]
            name = f"{direction.key}-{index}"
            lines = "".join(f"    {line}\n" for line in [*dict.fromkeys(allowed), "counter drop"])
            chains.append(f"  chain {name} {{ # {pod.namespace}/{pod.name}\n{lines}  }}\n")
            jumps[direction].append(f"{pod.address} : jump {name}")
    forward = _lookup(jumps, EGRESS) + _lookup(jumps, INGRESS)
    hooks = _hook("forward", forward) + _hook("input", _lookup(jumps, EGRESS))
    table = f"table ip {TABLE}"
    return f"{table} {{}}\ndelete {table}\n{table} {{\n{''.join(chains)}{hooks}}}\n"


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector of the Kubernetes API matches; an empty one matches all."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], expression.get("values") or []
        holds = {
            "In": key in labels and labels[key] in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds[expression["operator"]]:
            return False
    return True


def _isolates(policy: Policy, pod: Pod, direction: Direction) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    same = policy["metadata"]["namespace"] == pod.namespace
    return same and direction.type in types and selects(spec.get("podSelector") or {}, pod.labels)


def _rule(
    rule: Mapping[str, Any],
    direction: Direction,
    policy: Policy,
    pod: Pod,
    pods: Sequence[Pod],
    namespaces: Mapping[str, Labels],
) -> Iterator[str]:
    """Yield the lines that allow for one pod what one rule of a policy allows."""
    listed = rule.get(direction.peers) or []
    targets: list[Pod] = []
    blocks: list[PolicyPeer] = [] if listed else [PolicyPeer()]
    for peer in listed:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            if ":" not in block["cidr"]:
                blocks.append(PolicyPeer((block["cidr"],), tuple(block.get("except") or ())))
        else:
            targets += _matching(peer, policy["metadata"]["namespace"], pods, namespaces)
    ports = rule.get("ports") or []
    numbered = [match for port in ports if not isinstance(port.get("port"), str) and (match := _port(port))]
    peers = [*blocks, *([PolicyPeer(tuple(_addresses(targets)))] if targets else [])]
    for peer in peers:
        for match in numbered if ports else [""]:
            yield _allow(direction, peer, match)
    for port in ports:
        if isinstance(port.get("port"), str):
            yield from _named(port, direction, pod, peers, pods if not listed else targets)


def _named(
    port: Mapping[str, Any], direction: Direction, pod: Pod, peers: Sequence[PolicyPeer], targets: Sequence[Pod]
) -> Iterator[str]:
    """Yield the lines of a port by name: the receiving pod's containers define its number."""
    if direction is INGRESS:
        for match in _numbers(port, pod):
            for peer in peers:
                yield _allow(direction, peer, match)
        return
    receivers: dict[str, list[Pod]] = {}
    for target in targets:
        for match in _numbers(port, target):
            receivers.setdefault(match, []).append(target)
    for match, pods in receivers.items():
        yield _allow(direction, PolicyPeer(tuple(_addresses(pods))), match)


def _matching(
    peer: Mapping[str, Any], own: str, pods: Sequence[Pod], namespaces: Mapping[str, Labels]
) -> Iterator[Pod]:
    by_namespace, by_pod = peer.get("namespaceSelector"), peer.get("podSelector")
    for pod in pods:
        if by_namespace is None:
            near = pod.namespace == own
        else:
            near = selects(by_namespace, namespaces.get(pod.namespace, {}))
        if near and (by_pod is None or selects(by_pod, pod.labels)):
            yield pod


def _addresses(pods: Sequence[Pod]) -> list[str]:
    return sorted({pod.address for pod in pods})


def _numbers(port: Mapping[str, Any], pod: Pod) -> list[str]:
    protocol = port.get("protocol", "TCP")
    found = [each.number for each in pod.ports if each.name == port["port"] and each.protocol == protocol]
    return [f"{protocol.lower()} dport {number}" for number in sorted(set(found))]


def _port(port: Mapping[str, Any]) -> str:
    protocol = port.get("protocol", "TCP").lower()
    if port.get("port") is None:
        return f"meta l4proto {protocol}"
    last = f"-{port['endPort']}" if port.get("endPort") is not None else ""
    return f"{protocol} dport {port['port']}{last}"


def _allow(direction: Direction, peer: PolicyPeer, match: str) -> str:
    words = []
    if peer.addresses:
        words.append(f"ip {direction.other} {_set(peer.addresses)}")
    if peer.exceptions:
        words.append(f"ip {direction.other} != {_set(peer.exceptions)}")
    return " ".join([*words, *([match] if match else []), "return"])


def _set(addresses: Sequence[str]) -> str:
    return addresses[0] if len(addresses) == 1 else "{ " + ", ".join(addresses) + " }"


def _lookup(jumps: Mapping[Direction, Sequence[str]], direction: Direction) -> str:
    entries = jumps[direction]
    return f"    ip {direction.own} vmap {{ {', '.join(entries)} }}\n" if entries else ""


def _hook(name: str, lookups: str) -> str:
    first = f"    type filter hook {name} priority -5; policy accept;\n    ct state established,related accept\n"
    return f"  chain {name} {{\n{first}{lookups}  }}\n"
