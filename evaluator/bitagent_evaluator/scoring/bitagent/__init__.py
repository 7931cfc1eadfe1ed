"""The BitAgent subnet's criteria for one tool call, as of November 2024 and April 2025.

    criteria        the vocabulary, and the two criteria that look at the transport
    reading         an answer read as one Python call
    rules_2024_11, rules_2025_04
                    the rule sets of the two dates, each a pure function of its arguments
    scorer          the interface of rule sets, and the scorers that apply them to the project's tasks

The rule sets keep what the subnet's validators did (decision 048), oddities included; where those ran into an
exception, the criterion gets `FAILED`. They read the text of an answer by their own rules, and use no parser of
`bitagent_evaluator.parsing`.
"""
