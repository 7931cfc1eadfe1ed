"""A real one-node Kubernetes on this machine, and a node-less control plane for tests.

`control_plane` gives etcd and kube-apiserver alone. `up` brings the whole node up and `down` takes it away: it lives in its own network
namespace, mount namespace and cgroup, so that nothing is left (`node` says where it lies). `netpol` enforces network policies on it.
Only the standard library is needed, and Python 3.11.
"""
