"""Alterations: changes to drawn tasks that make a memorised benchmark useless while the right answer stays known.

    base                  the interfaces of alterations, reasons to skip a task, what alterations are given, and their
                          deterministic choices from seed, place in the spec and task id
    pipeline              apply the alterations of a spec in order; the table from the contract's models to classes
    renaming              apply a rename consistently to schemas, descriptions, ground truth and messages
    tools, masks, default_value_mask, merge
                          pure functions of one task and the tasks around it
    rewrite/              rewording by a language model
    rewrite_cache         the responses of the rewriter (`rewrites.jsonl`), which make a build repeatable

An alteration changes a task only where the changed ground truth is certainly right; it leaves every other task as it
is and counts it with a reason. Which answers are right is decided in `bitagent_evaluator.scoring`, which tasks are
drawn in `bitagent_evaluator.tasks`.
"""
