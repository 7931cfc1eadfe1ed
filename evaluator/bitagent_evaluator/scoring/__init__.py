"""From answers to verdicts, and from verdicts to a score.

    base            the interface of scorers
    scorers         scorers by name; `score` and `aggregate`
    bfcl            the leaderboard's rules, with the official checker, and a stricter one
    exact_match     the ground truth's first values and nothing else
    bitagent/       the BitAgent subnet's dated criteria
    loss            the likelihood of a reference text
    multi_turn/     conversations whose calls act on simulated systems
    aggregate       the result over all tasks
    kinds           kinds of tasks, which may weigh equally in the result
    metric          the number by which models are compared, with its statistics
    baseline        the score of the best constant answer
    suitability     which tasks a scorer can judge
    leaderboard     BFCL's columns
    sandboxed, worker
                    scoring in sandboxes

Calls are read from answers by `bitagent_evaluator.parsing`, lines of a reference are scored by
`bitagent_evaluator.conformance`, and tasks come from `bitagent_evaluator.tasks`.
"""
