"""Task sets: their sources, which tasks are drawn, and the files that hold them.

    build         build a task set from a round's spec
    rewriter      what the manifest says about a Validator's rewriter
    sampling      the tasks of each source that may be drawn, and the draw: a pure function of the seed
    files         read, write and compare task sets: tasks.jsonl and manifest.json
    sources/      a reader for each kind of source (BFCL, files, hub datasets, streams)
    rows/         a reader for each row format: from one row of data to a task

The same spec, files and package versions give the same bytes on any machine. How drawn tasks are changed is
`bitagent_evaluator.alterations`, how a task is shown to a model `bitagent_evaluator.prompts`, and how answers are
judged `bitagent_evaluator.scoring`.
"""
