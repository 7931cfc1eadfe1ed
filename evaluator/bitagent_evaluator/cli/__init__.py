"""The `bitagent-eval` command: one module per verb, each a thin edge over the library. No logic that a library user would miss."""
