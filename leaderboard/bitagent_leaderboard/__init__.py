"""The public page: competitions, rankings, models and weights, read from the cluster.

    main      the `bitagent-leaderboard` command
    export    the same documents as files
    serving   HTTP: cached documents, events of changes
    source    the three kinds by list and watch, or from a file; manifests of results
    site      which documents there are, and what each depends on
    api       JSON with its OpenAPI document, CSV, Atom feed, badges
    pages     HTML and the plot of a model's history
    model     what the page knows: objects reduced to what everybody may see

Nothing is written to the cluster, and nothing is read but MinerModels, EvalRounds and Validators. What must not be seen
is left out in `model.reading`, where an object comes in, so that no page can show it. Imports `bitagent_crds` and
`bitagent_kube` only.
"""
