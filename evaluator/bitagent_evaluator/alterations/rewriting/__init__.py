"""Rewording of questions by a language model, behind alteration `Rewrite`.

`prompt` says what is asked, `judging` whether a rewording is taken (`values` and `names` hold what it must keep and must not bring in),
`kept` is the file that makes a build repeatable although the model is not, and `rewrite` brings them together. Requests themselves are
`bitagent_evaluator.endpoint`, closeness in meaning is `bitagent_evaluator.alterations.similarity`.
"""
