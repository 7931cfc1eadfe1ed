"""A competition from its epochs to its scores.

    competition  one competition's part of a pass: record scores, create and delete rounds
    seeding      seeds of rounds: commit, publish
    leaderboards signed leaderboards of complete rounds
    rounds       epochs, which EvalRounds to create, give their seed and delete
    claims       commit blocks of models, compared with the chain
    seed_secrets secrets of seeds
    scores       from a complete round to what it says about each hotkey

What scores are worth is in `policy`; how a row gets on the chain, in `weights`.
"""
