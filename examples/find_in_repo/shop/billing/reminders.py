"""Billing: which customers to remind, and how firmly."""

from datetime import date

STEPS = ((14, "friendly"), (30, "firm"), (60, "last"))


def reminder_for(due: date, today: date) -> str | None:
    late = (today - due).days
    due_steps = [tone for days, tone in STEPS if late >= days]
    return due_steps[-1] if due_steps else None
