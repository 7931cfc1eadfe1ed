"""Reports: comparisons of models, and an HTML page about one or several.

    results         results directories in memory, and the faults of models that have none
    comparison      two models task by task; the order of several by rank
    reproduction    a result and its repetition
    page            the HTML page (page.html.jinja) as a whole: data and rendering
    leaderboard     several models side by side
    section         everything about one model; its parts are `rows`, `facts` and `task_list`
    plots           geometry of figures

Nothing here scores an answer (`bitagent_evaluator.scoring`) or runs a model (`bitagent_evaluator.evaluation`).
"""
