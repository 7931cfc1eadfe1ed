"""What results mean, for people: comparisons of two, and a page about one or several.

`reading` reads a results directory and checks it; `comparison` pairs two results task by task, `mcnemar` is its test, `failing` lets a model
that was at fault itself take part; `reproduction` pairs a result with its repetition. `plots` and `time_plot` compute the geometry of figures,
`failures` and `view` what a page says, `page` renders it with the templates beside it. The files named `loss_...` do the same for losses.
Nothing here judges an answer (`scoring`) or runs a model (`runs`).
"""
