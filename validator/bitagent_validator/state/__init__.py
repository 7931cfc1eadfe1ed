"""State that outlives the pod: the results of the last complete rounds, and the pending and the last accepted weights.

It is a ConfigMap of the Validator, `<name>-scores`, with the last settings and the rows of mechanism 0, one for the
rows of each other mechanism, `<name>-scores.<mechanism>`, and one for each competition, `<name>-scores-<competition>`,
all owned by it. Results are copied from an EvalRound as soon as it is complete, so that deleting the round loses
nothing; if a ConfigMap is lost, they are copied again from the rounds that still exist.

No ConfigMap grows beyond what the API server takes (1 MiB). One holds two rows; or the results of five rounds and an
average of online scores, of registered hotkeys only, and the submissions of two rounds. Where that does not fit, as
with more than a thousand hotkeys, the oldest results are left out. resourceVersion is an optimistic lock: of two
writers, the one with the older version fails and reads the document again.

    rows         rows of weights and the last settings
    scores       results of rounds, averages of online answers, submissions
    documents    the documents of the ConfigMaps, and all of them together
    bounds       what is left out of a document that is too large
    store        the ConfigMaps, read and written
"""
