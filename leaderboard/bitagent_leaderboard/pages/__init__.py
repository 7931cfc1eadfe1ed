"""Documents for people: HTML pages and the plot of a model's history.

    plots    a history as geometry
    links    addresses inside the page, relative to where a document lies
    commands the command that repeats a score
    render   templates with their filters
    html     what each page shows

Everything can be read without JavaScript. The one script copies commands, filters tables, and takes in changes of what
is shown; the one style sheet is a file. No document loads anything from elsewhere.
"""
