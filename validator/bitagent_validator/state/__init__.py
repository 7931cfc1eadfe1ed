"""State that outlives the pod: the results of the last complete rounds, and the pending and the last accepted weights.

It is a ConfigMap of the Validator, `<name>-scores`, with the rows, and one for each competition,
`<name>-scores-<competition>`, all owned by it. Results are copied from an EvalRound as soon as it is complete, so that
deleting the round loses nothing; if a ConfigMap is lost, they are copied again from the rounds that still exist.

No ConfigMap grows beyond what the API server takes: one holds the results of five rounds and an average of online
scores, of registered hotkeys only, and the submissions of two rounds. resourceVersion is an optimistic lock: of two
writers, the one with the older version fails and reads the document again.

    rows         rows of weights and the last settings
    scores       results of rounds, averages of online answers, submissions
    documents    the documents of the ConfigMaps, and all of them together
    store        the ConfigMaps, read and written
"""
