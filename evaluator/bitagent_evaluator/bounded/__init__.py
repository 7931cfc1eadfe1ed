"""Work on what a stranger wrote, in a child process that cannot take more time or memory than it is given.

`process.BoundedProcess` (parent) starts `child` and exchanges frames (`frames`) with it. Configurations, weight headers, tokenizers and
chat templates of submitted models are parsed only on the far side of this pipe. No knowledge of models lives here.
"""
