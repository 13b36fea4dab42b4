"""How to run: what is given, what the configuration says, and what follows from both."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen

from rlmlang import limits
from rlmlang.errors import UsageError
from rlmlang.lm.config import Config, Models, load_config, resolve_models
from rlmlang.lm.request import Model
from rlmlang.lm.workers.need import default_processes
from rlmlang.run.budget import Budget
from rlmlang.run.memo import default_path


def _texts(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


@frozen
class Settings:
    """How to run: each field as the option of `rlm run` of that name; what is not given comes from `config` (a path to an rlm.toml; None:
    `rlm.toml` in the current folder, if there is one), then the environment.

    `root` is the model that writes the programs of `solve` (None: the section `[models.root]`, else `model`). `processes` is how many may
    share the work (None: one a core, four at most): more than one do only where there is too much for one. `budget` is one text or
    several (`"$2"`, `"500 calls"`); `memo` a path or `"off"`. `batch`: models that have a Batch API are asked by it.
    """

    model: str | None = None
    root: str | None = None
    base_url: str | None = None
    budget: tuple[str, ...] = field(default=(), converter=_texts)
    concurrency: int | None = None
    processes: int | None = None
    memo: str | os.PathLike[str] | None = None
    offline: bool = False
    config: str | os.PathLike[str] | None = None
    batch: bool | None = None


def configuration(path: str | os.PathLike[str] | None = None) -> Config:
    """The configuration in the file at `path`, or in `rlm.toml` of the current folder, or none. Raises UsageError."""
    if path is not None:
        return load_config(Path(path))
    here = Path("rlm.toml")
    return load_config(here) if here.is_file() else Config()


def processes_of(settings: Settings, config: Config) -> int:
    """How many processes a run may have. Raises UsageError."""
    given = settings.processes if settings.processes is not None else config.processes
    if given is not None and not 1 <= given <= limits.PROCESSES:
        raise UsageError(f"--processes is a whole number from 1 to {limits.PROCESSES}, not {given}")
    return given or default_processes()


def by_jobs(settings: Settings, config: Config) -> bool:
    """Whether models are asked by their Batch APIs, by the option `--batch` or the configuration."""
    return config.batch if settings.batch is None else settings.batch


def models_of(settings: Settings, config: Config, *, batch: bool = False) -> Models:
    """The models that a program may name; with `batch` those that have a Batch API are asked by it. Raises UsageError."""
    return resolve_models(
        config,
        model=settings.model,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        environ=os.environ,
        root=settings.root,
        batch=batch,
    )


def memo_path(given: str | os.PathLike[str] | None, config: Config) -> Path | None:
    """Where the memo store is, by the option `--memo`, the configuration, or by default; None: `off`."""
    place = given if given is not None else config.memo
    return None if place == "off" else default_path() if place is None else Path(place)


def usable_model(models: Models, name: str, budget: Budget, *, offline: bool = False) -> Model:
    """The model of that name. Raises UsageError where it is not configured, or a budget in dollars has no price to go by."""
    from rlmlang.lm.prices import price_of

    model = models[name]
    if model.provider == "openai" and model.base_url is None and model.api_key is None and not offline:
        others = ", ".join(other for other in models if other != model.name)
        raise UsageError(
            f"no model is called {model.name}, and OPENAI_API_KEY is not set, with which OpenAI could be asked for it",
            hint=f"there is {others}; see also --base-url and [models.NAME] in rlm.toml",
        )
    if budget.most("dollars") is not None and price_of(model) is None:
        raise UsageError(
            f"the price of {model.name} is not known, so a budget in dollars cannot be kept",
            hint=f"set input_price and output_price in [models.{model.name}], or give the budget in calls or tokens",
        )
    return model
