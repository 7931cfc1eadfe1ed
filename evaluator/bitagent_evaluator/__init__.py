"""The evaluator: tasks in, scores out. A library, a command line and a container.

Here live task sources and sets, prompt formats, answer parsing, scorers, model fetching and safety checks, and the inference engine.
Nothing here knows Kubernetes or a chain: a Job's document and summary (`bitagent_crds.jobs`) are all it shares with the operator.
"""
