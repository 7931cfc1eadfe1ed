"""Reconciliation of one key: plan, carry out the plan, write the status. The only place where the cluster is changed.

Decisions are in `plan`, the objects that are created in `manifests`; the queue and its workers are in `runtime`.
"""
