"""Enforcement of networking.k8s.io/v1 NetworkPolicy on the node, with nftables.

`rules` turns policies, pods and namespaces into a ruleset, as a pure function. `enforcer` watches the API server and
loads the ruleset whenever it changes. `plugin` is the last step of setting up a pod's network: it delays the pod until
the rules contain its address, so that a policy applies from the first packet.

Not an implementation for real clusters: IPv4 alone, one node, no ICMP rules of its own, and connections that exist when
a policy arrives are not interrupted.
"""
