"""Task sets: where tasks come from, which are drawn, and the files that hold them.

One file per source behind the registry in `source`, how a row becomes a task in `rows`, where rows come from in `data`, what is kept of a
source in `pools`, drawing in `sampling`, files in `files`, all of it together in `building`.
The same spec, files and package versions give the same bytes on any machine. How drawn tasks are changed is `bitagent_evaluator.alterations`,
how a task is shown to a model `bitagent_evaluator.formats`, what a right answer is `bitagent_evaluator.scoring`.
"""

from bitagent_evaluator.tasks.building import build_task_set
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, read_task_set, read_tasks

__all__ = ["MANIFEST", "TASKS", "TaskSetError", "build_task_set", "read_task_set", "read_tasks"]
