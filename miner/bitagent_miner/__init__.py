"""The default miner: answers validators on both wires for a hotkey, and puts its model on the chain.

From the bottom up:

    wallet  the hotkey file
    chain  reading the chain, and the two things that a miner writes there
    submissions  what a commitment says
    hub  a repository's revision to a commit
    admission  who may ask
    rates, turns  how often, and in which order
    prompting, endpoint  a task to a chat, and a chat to an answer
    feedback  what validators say about answers
    metrics, operations  metrics and probes
    handlers  a message to its answer
    following  the chain read in the background
    settings, serving  the process that serves
    committing, asking  the verbs of people
    main  the command line
"""
