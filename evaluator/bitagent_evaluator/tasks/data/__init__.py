"""Rows out of files: where bytes come from (`web`, `repository`), which files of a dataset make a split (`splits`), and a file format each
(`json_rows`, `csv_rows`, `parquet_rows`) behind the registry in `file_format`. All of it streams: memory does not grow with the data.

What a row means is `bitagent_evaluator.tasks.rows`.
"""
