"""A real one-node Kubernetes on this machine, and a node-less control plane for tests.

`control_plane` runs only etcd and kube-apiserver. `up` brings the whole node up and `down` removes it: it has its own
network namespace, mount namespace and cgroup, so that nothing remains. `node` holds its names, addresses and folders,
`components` the command lines, `netpol` enforces network policies. Only Python 3.11 and its standard library are
needed.

Building images is not in here (`bitagent_local.images`), nor anything that knows bitagent's own objects
(`bitagent_local.demo`).
"""
