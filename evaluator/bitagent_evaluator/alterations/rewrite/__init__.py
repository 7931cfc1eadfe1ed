"""Alteration `Rewrite`: user turns and descriptions reworded by a language model.

    rewrite      the alteration
    requests     request rewordings through the cache
    passages     one turn or description: the prompt, and how a response is read
    descriptions descriptions of functions and parameters: what they keep, how they are replaced
    acceptance   whether a rewording is accepted
    values       the values and numbers that a rewording must keep

Requests to an endpoint are `bitagent_evaluator.engines.openai`, cached responses
`bitagent_evaluator.alterations.rewrite_cache`.
"""
