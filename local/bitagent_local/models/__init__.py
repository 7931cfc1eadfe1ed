"""The tiny models under ``local/models``: broken copies of them, and the metadata in their files.

``damage`` derives repositories that an evaluator must refuse or survive; ``safetensors_header`` reads a weights file's
header. ``training`` holds everything about how the models and the task files were made, and is needed by no running
service. The trained files are data, in ``local/models``; publishing them is the work of ``bitagent_local.hub``.
"""
