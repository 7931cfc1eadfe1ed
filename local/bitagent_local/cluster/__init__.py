"""A real one-node Kubernetes on this machine, and a node-less control plane for tests.

`control_plane` gives etcd and kube-apiserver alone. `node` brings up the whole: it lives in its own network namespace, mount
namespace and cgroup, so that taking it down leaves nothing. Only the standard library is needed, and Python 3.11.
"""
