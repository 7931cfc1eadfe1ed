"""Tiny function-calling models: how the ones under ``local/models`` were made, and how broken ones are made from them.

``data`` invents questions and answers, ``train`` trains (needs torch; nothing else here does), ``tasks`` writes the
held-out questions as a task file, ``bad`` derives the repositories that an evaluator must refuse or survive.
The trained files themselves are data, in ``local/models``; publishing them is the hub's work.
"""
