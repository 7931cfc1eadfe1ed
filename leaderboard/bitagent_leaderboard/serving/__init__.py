"""HTTP: documents that are rendered once per change, and events of changes.

cache    rendered documents with ETag and compressed form
streams  readers who are informed of changes (server-sent events)
app      the handlers
following  the namespaces, each followed apart
metrics  Prometheus metrics
"""
