"""Enforces networking.k8s.io/v1 NetworkPolicy on the node, with nftables.

`rules` turns policies, pods and namespaces into a ruleset and touches nothing. `enforcer` follows the API server and loads the
ruleset whenever it changes. `plugin` is the last step of giving a pod its network: it holds the pod back until the rules know its
address, so that a policy holds from the first packet.

What it is not: a tested implementation for real clusters. IPv4 alone, one node, no ICMP rules of its own, and connections that
stand when a policy arrives go on.
"""
