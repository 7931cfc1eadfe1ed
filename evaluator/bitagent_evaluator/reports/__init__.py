"""What results mean, for people: comparisons of two, and a page about one or several.

`reading` reads a results directory and checks it; `comparison` pairs two results task by task, `mcnemar` is its test;
`plots` computes the geometry of figures, `failures` and `view` what a page says, `page` renders it with the template beside it.
Nothing here judges an answer (`scoring`) or runs a model (`runs`).
"""
