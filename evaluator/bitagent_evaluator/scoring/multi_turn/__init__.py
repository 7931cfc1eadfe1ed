"""Conversations: calls act on simulated systems, which must be in the right state after each turn.

    simulation      execution and checking of calls, in a sandbox
    worker          the code inside that sandbox, with the official checker: from a response to a verdict
    systems         one set of official systems, and the execution of one call on it (never by Python's own `eval`)
    memory          the official systems that are memories of earlier conversations
    memory_answers  the rule for answers from a memory
    vectors         what a memory that is searched by vectors needs

Systems, state comparison and response comparison are those of the installed bfcl-eval package. How a conversation is
led is `bitagent_evaluator.evaluation.strategies.conversations`; calls are rendered for execution by
`bitagent_evaluator.parsing.render`.
"""
