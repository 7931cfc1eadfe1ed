"""`bitagent-eval tasks show SET --id ID --model MODEL`: one task as a model is asked it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE, exit_code
from bitagent_crds.plugins import PluginError
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli.console import show, spinner, untrusted
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.run_models import NoModel, default_cache, given_model, local_model
from bitagent_evaluator.cli.task_view import task_panel
from bitagent_evaluator.evaluation.prompt_preview import PromptPreview, preview_prompt
from bitagent_evaluator.models.preflight import MAX_BYTES
from bitagent_evaluator.models.validation.files import CONFIG, TOKENIZER, TOKENIZER_CONFIG
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.support.faults import ModelFault, ReasonedError


def show_prompt(args: argparse.Namespace, chosen: Sequence[Task]) -> int:
    """Show the chosen task, which must be named by `--id`, and its prompt. Returns the exit code."""
    if args.id is None:
        return fail("tasks show", "--model shows the prompt of one task: name it with --id", EXIT_USAGE)
    try:
        folder = _folder(args.model)
    except NoModel as error:
        return fail("tasks show", str(error), EXIT_USAGE)
    except ReasonedError as error:
        return fail("tasks show", f"{error.reason}: {error.message}", exit_code(error.reason))
    if missing := [name for name in (CONFIG, TOKENIZER, TOKENIZER_CONFIG) if not (folder / name).is_file()]:
        return fail("tasks show", f"{folder} does not hold a model: it has no {missing[0]}", EXIT_USAGE)
    try:
        with spinner(f"the prompt of {args.id}"):
            preview = preview_prompt(folder, chosen[0], args.prompt_format, thinking=args.thinking.switch)
    except ModelFault as fault:
        return fail("tasks show", f"{fault.reason}: {fault.message}", EXIT_MODEL_FAULT)
    except PluginError as error:
        return fail("tasks show", f"--prompt-format: {error}", EXIT_USAGE)
    except SandboxUnavailable as error:
        return fail("tasks show", str(error), EXIT_INFRASTRUCTURE)
    if args.json:
        print_json({"task": chosen[0].model_dump(mode="json"), "prompt": preview.to_json()})
    else:
        show(task_panel(chosen[0]), *prompt_view(preview))
    return EXIT_OK


def _folder(model: Path) -> Path:
    """Return the folder of a model, also of a repository, which is fetched as `run` does.

    Raises NoModel, ModelFault and InfrastructureFault.
    """
    if model.is_dir():
        return model
    given = given_model(str(model))
    with spinner(f"fetching {model}, if it is not there yet"):
        return local_model(given, default_cache(), max_bytes=MAX_BYTES).directory


def prompt_view(preview: PromptPreview) -> list[RenderableType]:
    """Return the prompt of a task as a model gets it, and what ends its answer."""
    notes = [untrusted(f"note: {note}", "yellow") for note in preview.notes]
    if preview.refused:
        return [untrusted(f"the prompt is refused: {preview.refused}", "red"), *notes]
    ends = ", ".join(f"{text} ({token})" for token, text in preview.end_tokens) or "no token, only at the limit"
    title = f"prompt, format {preview.format_name}, {len(preview.token_ids)} tokens"
    return [
        Panel(untrusted(preview.text), title=Text(title), title_align="left"),
        untrusted(f"an answer ends at {ends}"),
        *notes,
    ]
