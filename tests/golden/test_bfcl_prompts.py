"""The format `Bfcl` is byte for byte what the official prompting handlers send, for every official case."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bitagent_crds.tasks import MEMORY, BfclCategory, BfclSource
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

OFFICIAL = """
import json, sys
from bfcl_eval.model_handler.utils import system_prompt_pre_processing_chat_model
from bfcl_eval.utils import load_dataset_entry
prompts = {}
for category in sys.argv[1:]:
    for case in load_dataset_entry(category):
        prompts[case["id"]] = system_prompt_pre_processing_chat_model(case["question"][0], case["function"], case["id"])
json.dump(prompts, sys.stdout)
"""
"""Program of a separate process: importing these modules creates folders in BFCL_PROJECT_ROOT."""


def test_prompts_equal_the_official_ones(tmp_path: Path) -> None:
    categories = [category for category in BfclCategory if category not in MEMORY]  # see test_bfcl_memory
    environment = {**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, *categories], env=environment, capture_output=True, check=True
    )
    official = json.loads(done.stdout)
    tasks = BfclTasks(BfclSource(categories=categories)).tasks()
    bfcl = prompt_format("Bfcl")
    assert {task.id for task in tasks} == set(official)
    assert [task.id for task in tasks if bfcl.build_prompt(task).messages != official[task.id]] == []
