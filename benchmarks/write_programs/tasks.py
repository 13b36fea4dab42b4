"""The 40 tasks."""

from __future__ import annotations

from benchmarks.write_programs import asking, asking_more, computed
from benchmarks.write_programs.task import Task

TASKS: tuple[Task, ...] = (*computed.TASKS, *asking.TASKS, *asking_more.TASKS)
