"""Helpers without knowledge of evaluation.

    activity       what this process and its descendants have computed and read
    embedding      sentence embeddings, computed with numpy
    faults         failures with a reason of the contract; the first pydantic error, in words
    files          atomic writes, SHA-256 of files and streams
    garbage        how often Python looks for unreachable objects
    http           addresses in specs, and the one rule for repeating requests
    http_resource  files over HTTP: streamed, resumed, read by ranges
    processes      a function of many items, computed by several processes
    progress       progress of long work
    text           untrusted text made fit to be shown

Digests of the contract are `bitagent_crds.fields.digest_of`; names of installed packages are `bitagent_crds.plugins`.
"""
