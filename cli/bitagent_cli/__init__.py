"""The command line of a person at a cluster: `bitagent`, and as a plugin `kubectl bitagent`.

    main          runs a verb, and turns errors into messages and exit codes
    parser        verbs and options; imports the standard library alone, so that help and completion are fast
    completion    candidates of a word, and the scripts of the shells
    page          docs/commands.md, which follows from the parser
    connection    the cluster, by the options
    configuration  the operator's, as far as it can be read
    verbs/        one module for each verb: reads, calls the others, prints
    output/       tables, JSON and YAML, colours, texts of others without control characters
    objects/      rows of models, rounds and leaderboards; a submission as a MinerModel
    explanation/  what happened to an object, and where the time of a round went
    files/        files of a round from the artifact volume
    doctor/       what is wrong with a cluster

It reads and writes the three kinds as their users do, and decides nothing that the operator or a validator decides.
"""
