"""The `bitagent-eval` command: one module per verb, each a thin edge over the library. No logic that a library user would miss.

`app` collects the verbs. The modules that are no verb's hold what verbs share: options, and how things look on a terminal.
"""
