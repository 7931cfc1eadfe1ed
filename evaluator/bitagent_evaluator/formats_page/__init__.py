"""The page docs/formats.md: what is read of models, rows and answers, with examples that the readers here have read.

    rows        example rows, the columns they need, and rows that are skipped
    answers     example answers, read and unreadable, right and wrong
    page        the whole page, as Markdown

`python -m bitagent_evaluator.formats_page ROOT` writes it, with `--check` it only compares.
"""
