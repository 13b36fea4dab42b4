"""What a program may cost, for `rlm cost` and `rlmlang.bound`, without running it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from rlmlang.check.checked import Checked
from rlmlang.cost import Bound
from rlmlang.cost import bound as bound_of
from rlmlang.errors import ProgramError
from rlmlang.lm.config import Models
from rlmlang.lm.request import Model
from rlmlang.run.inputs import StandardInput, bind_inputs
from rlmlang.run.memo_seen import looking
from rlmlang.run.program import read_program
from rlmlang.run.seen import Experience, Keys
from rlmlang.session.settings import Settings, by_jobs, configuration, memo_path, models_of


@frozen
class Estimate:
    """A program and what a run of it may cost. `inputs` are the values of those that are known, None where nothing is given and something
    has to be."""

    checked: Checked
    models: Models
    inputs: Mapping[str, Any] | None
    bound: Bound
    experience: Experience

    def model(self, name: str | None) -> Model:
        """The model of a call that names it so."""
        return self.models[name or self.models.default]


def estimate(
    source: str | os.PathLike[str],
    settings: Settings | None = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    stdin: StandardInput | None = None,
) -> Estimate:
    """What `bound` and `rlm cost` tell of a program, with what they go by. With `stdin`, inputs are texts of the command line.

    Raises ProgramError, UsageError; LimitError where what is pure and known would be too much work.
    """
    settings = settings or Settings()
    config = configuration(settings.config)
    checked = read_program(source)
    if checked.errors:
        raise ProgramError(checked.diagnostics)
    models = models_of(settings, config, batch=by_jobs(settings, config))
    known: Mapping[str, Any] | None = None
    if inputs or all(v.optional for v in checked.inputs):
        known = bind_inputs(checked.inputs, inputs or {}, stdin=stdin, partly=True)
    memo = memo_path(settings.memo, config)

    def model_of(name: str | None) -> Model:
        return models[name or models.default]

    with looking(memo) as learned:
        experience = Experience(Keys(checked, model_of), learned)
        found = bound_of(checked, model_of, known, memo=memo is not None, experience=experience, models=models)
        for site in found.sites:
            experience.seconds(models[site.model])  # asked for while the store is open
    return Estimate(checked, models, known, found, experience)


def bound(source: str | os.PathLike[str], settings: Settings | None = None, **inputs: Any) -> Bound:
    """What a program may cost, without running it. Inputs that are not given stand in formulas by their sizes; `Bound.at` evaluates these.
    Defaults are taken once an input is given, or where none has to be.

    Raises ProgramError, UsageError; LimitError where what is pure and known would be too much work.
    """
    return estimate(source, settings, inputs).bound
