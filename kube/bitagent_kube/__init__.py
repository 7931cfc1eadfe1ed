"""Kubernetes plumbing that every controller of this project uses: the operator and the validator.

    errors       the exception of a failed request
    resources    where the objects of each kind are served
    objects      metadata, references, times and Event messages as plain data
    credentials  service account or kubeconfig
    clock        the API server's clock
    retry        which requests are repeated, and after how long
    watch        events of a watch
    client       verbs, server-side apply, status writes, watch
    cluster      requests of a person: any path, logs, commands in pods
    cache        objects in memory, by resourceVersion
    informer     list and watch into a cache
    conditions   status conditions and their transition times
    events       Kubernetes Events, best effort
    lease        one active process per Lease
    health       probes and metrics over HTTP
    parts        work in several namespaces that fails apart
    logging      JSON lines in pods, text on a terminal

No decision about a MinerModel, EvalRound or Validator is made here. Imports `bitagent_crds` only; the evaluator and
the local cluster do not import it.
"""
