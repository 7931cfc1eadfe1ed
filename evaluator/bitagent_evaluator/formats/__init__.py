"""How a task becomes a chat: one file per prompt format, behind `prompt_format`.

A format decides on messages and tools. Turning the chat into text and token ids, with the model's own template, is the engine's part;
reading the answer is `bitagent_evaluator.answers`. Wording that belongs to the leaderboard is taken from the installed bfcl-eval package.
"""

from bitagent_evaluator.formats.chat import Chat, Format, prompt_format

__all__ = ["Chat", "Format", "prompt_format"]
