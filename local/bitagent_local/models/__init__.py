"""Tiny models: how the ones under ``local/models`` were made, and how broken ones are made from them.

Two families. ``tiny-fc-*``, of graded skill: ``data`` invents questions and answers, ``train`` trains, ``tasks`` writes the held-out
questions as a task file. ``tiny-memo``, ``tiny-sense`` and ``tiny-rewriter``, which remember, read and reword one benchmark: ``subjects``
says what it is about, ``benchmark`` writes it, ``reading`` and ``rewording`` draw lessons, ``classroom`` turns them into training steps and
``teach`` runs a course. Only ``train``, ``teach``, ``classroom``, ``copying``, ``head_start`` and ``vocabulary`` need torch and transformers.
``bad`` derives the repositories that an evaluator must refuse or survive.
The trained files themselves are data, in ``local/models``; publishing them is the hub's work.
"""
