"""Decisions about an EvalRound: its set of models, its tasks, its evaluations, whose trouble a failure is, its end."""
