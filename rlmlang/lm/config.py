"""The configuration of models: `rlm.toml`, the options of a command and the environment, made into `Model`s.

    model = "small"                      # a name below, `local`, `gguf:PATH`, `script:PATH`, or what the endpoint calls it
    concurrency = 32                     # calls under way at once, for each model that does not say itself
    processes = 4                        # that may share the work, where one has more than it can do
    budget = ["$2", "10 min"]            # one text, or several
    memo = ".rlm/memo.sqlite"            # or "off"
    batch = true                         # `rlm run` sends requests as jobs of a Batch API

    [models.small]
    model = "gpt-4o-mini"                # NAME itself, if left out; also `gguf:PATH`, `script:PATH`, `local`
    base_url = "https://openrouter.ai/api/v1"
    api_key_env = "OPENROUTER_API_KEY"
    input_price = 0.15                   # dollars per million tokens

Paths are relative to the file's own folder. What a command's options say goes before the environment, and that before the file.
OPENAI_API_KEY is sent only to OpenAI, to OPENAI_BASE_URL and to --base-url: a section with a `base_url` names its own key.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from attrs import evolve, field, frozen

from rlmlang import limits
from rlmlang.errors import UsageError
from rlmlang.lm.gguf_file import fingerprint, read_header, slot_context
from rlmlang.lm.local import MODEL_CONTEXT, MODEL_NAME
from rlmlang.lm.request import GRAMMAR_FORMATS, GrammarWay, Model, Secret
from rlmlang.syntax.diagnostics import printable

LOCAL: Final = "local"
ROOT: Final = "root"  # the section of the model that writes programs, where there is one
_CONCURRENCY: Final = {"openai": 16, "script": 64, "gguf": 4}  # gguf: on two cores 1 to 8 slots are equally fast; more cores use four
_FILE_BYTES: Final = 1024 * 1024  # of an rlm.toml
_DEAREST: Final = 1_000_000  # dollars per million tokens
_COUNT_MOST: Final = 10**12
_CUSTOM_TOOLS: Final = re.compile(r"gpt-(?:[5-9]|\d\d)")  # from GPT-5 on

Expected = Literal["text", "url", "variable", "count", "whole", "price", "temperature", "seconds", "structured", "grammar", "flag", "share"]
_WANTED: Final[Mapping[str, str]] = {
    "text": "a text",
    "url": "a text that starts with http:// or https://",
    "variable": "the name of an environment variable",
    "count": "a whole number from 1",
    "whole": "a whole number from 0",
    "price": f"a number of dollars per million tokens, 0 to {_DEAREST:,}",
    "temperature": "a number from 0 to 2",
    "seconds": "a number of seconds above 0",
    "structured": '"json_schema" or "prompt"',
    "grammar": '"openai", "vllm", "sglang", "llamacpp" or "none"',
    "flag": "true or false",
    "share": "a number from 0.001 to 1",
}
_KEYS: Final[Mapping[str, Expected]] = {
    "base_url": "url",
    "model": "text",
    "api_key_env": "variable",
    "context_window": "count",
    "max_output_tokens": "count",
    "input_price": "price",
    "output_price": "price",
    "cached_price": "price",
    "concurrency": "count",
    "requests_per_minute": "count",
    "tokens_per_minute": "count",
    "temperature": "temperature",
    "structured": "structured",
    "reasoning_tokens": "whole",
    "timeout": "seconds",
    "grammar": "grammar",
    "batch": "flag",
    "batch_share": "share",
}
_TOP: Final = ("model", "concurrency", "processes", "budget", "memo", "batch", "models")
_ENDPOINT_ONLY: Final = (
    *("base_url", "api_key_env", "requests_per_minute", "tokens_per_minute", "timeout", "grammar"),
    *("batch", "batch_share"),
)
_BATCH_SHARE: Final = Fraction(1, 2)  # of the usual price: what OpenAI, and those that have followed it, take


@frozen
class Config:
    """An `rlm.toml`, checked. `where` is the file's name; `models` holds for each `[models.NAME]` its keys, prices in nano-dollars per
    token, other values as `Model` wants them. What the file does not say is None or empty."""

    where: str = "rlm.toml"
    model: str | None = None
    concurrency: int | None = None
    processes: int | None = None
    budget: tuple[str, ...] = ()
    memo: str | None = None
    batch: bool = False
    models: Mapping[str, Mapping[str, Any]] = field(factory=dict)


def load_config(path: Path) -> Config:
    """The configuration in the file at `path`. UsageError when it cannot be read or is wrong."""
    name = printable(str(path), 300)
    try:
        if not path.is_file():
            raise UsageError(f"There is no configuration file {name}.")
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"Cannot read the configuration {name}: {error.strerror or 'it cannot be opened'}.") from None
    if len(data) > _FILE_BYTES:
        raise UsageError(f"{name} is too large for a configuration.")
    try:
        return read_config(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}:{line}: not UTF-8 text.") from None


def read_config(text: str, where: str) -> Config:
    """The configuration that `text` (TOML) says; `where` is its file, for messages and for the paths in it. UsageError when it is wrong."""
    name = printable(where, 300)
    try:
        table = tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        raise UsageError(f"{name}: nested too deep.") from None
    except (ValueError, ArithmeticError) as error:
        raise UsageError(f"{name}: not valid TOML: {printable(str(error), 300)}.") from None
    for key in table:
        if key not in _TOP:
            _unknown(name, key, _TOP)
    budget = table.get("budget", [])
    budget = [budget] if isinstance(budget, str) else budget
    if not isinstance(budget, list) or not all(isinstance(one, str) and one for one in budget):
        _wrong(name, "budget", 'a text such as "$2" or "500 calls", or a list of them', table["budget"])
    folder = Path(where).parent
    model, memo = table.get("model"), table.get("memo")
    for key, value in (("model", model), ("memo", memo)):
        if value is not None and (not isinstance(value, str) or not value):
            _wrong(name, key, "a text", value)
    sections = table.get("models", {})
    if not isinstance(sections, dict):
        _wrong(name, "models", "sections [models.NAME]", sections)
    concurrency, processes = table.get("concurrency"), table.get("processes")
    return Config(
        where=where,
        model=None if model is None else _in_folder(model, folder),
        concurrency=None if concurrency is None else _checked(name, "concurrency", "count", concurrency),
        processes=None if processes is None else _checked(name, "processes", "count", processes),
        budget=tuple(budget),
        memo=memo if memo is None or memo == "off" else str(folder / Path(memo).expanduser()),
        batch=_checked(name, "batch", "flag", table.get("batch", False)),
        models={section: _section(name, section, keys, folder) for section, keys in sections.items()},
    )


def resolve_models(
    config: Config,
    *,
    model: str | None,
    base_url: str | None,
    concurrency: int | None,
    environ: Mapping[str, str],
    root: str | None = None,
    batch: bool = False,
) -> Models:
    """The models of a run. The arguments are what the options `--model`, `--base-url`, `--concurrency`, `--root` and `--batch` gave, and
    the environment. With `batch` those that have a Batch API are asked by it.

    UsageError when the default model cannot be: no such file, or an address without a model.
    """
    chosen = model if model is not None else environ.get("RLM_MODEL") or config.model
    if chosen is not None and not chosen.strip():
        raise UsageError("--model needs a name.")
    if base_url is not None:
        _checked("--base-url", "", "url", base_url)
        if chosen is None:
            raise UsageError("--base-url needs a model: say what the endpoint calls it with --model NAME.")
    if concurrency is not None:
        _checked("--concurrency", "", "count", concurrency)
    if root is not None and not root.strip():
        raise UsageError("--root needs a name.")
    models = Models(config, chosen or LOCAL, base_url, concurrency, environ, root, batch)
    default = models[models.default]
    if base_url is not None and default.provider != "openai":
        raise UsageError(f"--base-url does not go with the model {printable(default.name, 200)}, which needs no endpoint.")
    return models


class Models(Mapping[str, Model]):
    """Name -> Model: the default first, then those of the configuration, and `local`. A model is made when it is first asked for.
    `root` is the name of the one that writes programs: the section [models.root], unless said otherwise, else the default.

    Asking for a name that is not there raises UsageError (no KeyError), with the names that come close.
    """

    def __init__(
        self,
        config: Config,
        default: str,
        base_url: str | None,
        concurrency: int | None,
        environ: Mapping[str, str],
        root: str | None = None,
        batch: bool = False,
    ) -> None:
        self.default = default
        self.root = root or (ROOT if ROOT in config.models else default)
        self._config = config
        self._base_url = base_url
        self._concurrency = concurrency
        self._environ = environ
        self._batch = batch
        self._names = tuple(dict.fromkeys((default, *config.models, self.root, LOCAL)))
        self._made: dict[str, Model] = {}

    def __getitem__(self, name: str) -> Model:
        if name not in self._made:
            if name not in self._names:
                raise UsageError(f"No model is called {printable(name, 100)}.", hint=self._hint(name))
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def _hint(self, name: str) -> str:
        close = difflib.get_close_matches(name[:100], self._names, n=3, cutoff=0.5)
        if close:
            return f"Did you mean {' or '.join(printable(c, 100) for c in close)}?"
        return f"There is {', '.join(printable(n, 100) for n in self._names[:20])}; others are configured as [models.NAME] in rlm.toml."

    def _make(self, name: str) -> Model:
        keys = dict(self._config.models.get(name, {}))
        spec = keys.pop("model", name)
        key_variable = keys.pop("api_key_env", None)
        if self._concurrency is not None:
            keys["concurrency"] = self._concurrency
        elif "concurrency" not in keys and self._config.concurrency is not None:
            keys["concurrency"] = self._config.concurrency
        kind, path = _kind(spec)
        keys.setdefault("concurrency", _CONCURRENCY[kind])
        share, jobs = keys.pop("batch_share", _BATCH_SHARE), keys.pop("batch", True)
        if kind == "script":
            return Model(name=name, provider=kind, model=_script_name(path), path=str(path), **keys)
        if kind == "gguf":
            return _gguf(name, path, keys)
        made = self._endpoint(name, spec, keys, key_variable)
        return evolve(made, batch_share=share) if self._batch and jobs else made

    def _endpoint(self, name: str, spec: str, keys: dict[str, Any], key_variable: str | None) -> Model:
        own_address = "base_url" in keys
        roles = {self.default, *({self.root} - self._config.models.keys())}
        if self._base_url is not None and name in roles:
            keys["base_url"], own_address = self._base_url, False
        elif not own_address:
            keys["base_url"] = _address(self._environ)
        variable = key_variable or (None if own_address else "OPENAI_API_KEY")
        way = keys.setdefault("grammar", _grammar_way(spec, keys["base_url"]))
        keys["grammar"] = None if way == "none" else way
        made = Model(name=name, provider="openai", model=spec, api_key=_key(variable, self._environ) if variable else None, **keys)
        if made.context_window is None:
            made = evolve(made, context_window=_known_window(spec, made.base_url))
        return made


def _grammar_way(model: str, base_url: str | None) -> GrammarWay | None:
    """How the server takes grammars, where its address tells: OpenAI's own, for models that have custom tools. Others would refuse what
    they do not know."""
    official = base_url is None or base_url.startswith("https://api.openai.com/")
    return "openai" if official and _CUSTOM_TOOLS.match(model) else None


def _kind(spec: str) -> tuple[Literal["openai", "script", "gguf"], Path | None]:
    """Who answers for what `--model` or a section's `model` says, and from which file (None: the embedded one, or an endpoint)."""
    if spec == LOCAL:
        return "gguf", None
    for kind in ("script", "gguf"):
        if spec.startswith(f"{kind}:"):
            if not spec[len(kind) + 1 :]:
                raise UsageError(f"{kind}: needs the path of a file after the colon.")
            return kind, Path(spec[len(kind) + 1 :]).expanduser()
    return "openai", None


def _script_name(path: Path | None) -> str:
    """What stands for a script in the key of a request: an edited file is another model, or the memo would answer with its old replies."""
    assert path is not None
    try:
        if path.is_file() and path.stat().st_size <= limits.FILE_BYTES:
            return f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
        raise UsageError(f"There is no file of rules {printable(str(path), 300)}.")
    except OSError as error:
        raise UsageError(f"Cannot read the rules {printable(str(path), 300)}: {error.strerror or 'it cannot be opened'}.") from None


def _gguf(name: str, path: Path | None, keys: dict[str, Any]) -> Model:
    keys["grammar"] = "llamacpp"
    if path is None:
        keys.setdefault("context_window", MODEL_CONTEXT)
        return Model(name=name, provider="gguf", model=MODEL_NAME, **keys)
    window = slot_context(read_header(path))
    keys.setdefault("context_window", window)
    return Model(name=name, provider="gguf", model=f"{path.name}@{fingerprint(path)}", path=str(path), **keys)


def _address(environ: Mapping[str, str]) -> str | None:
    address = environ.get("OPENAI_BASE_URL", "").strip()
    if not address:
        return None
    _checked("OPENAI_BASE_URL", "", "url", address)
    return address


def _key(variable: str, environ: Mapping[str, str]) -> Secret | None:
    """The key that an environment variable holds; None where it is not set, which only a request would miss."""
    value = environ.get(variable, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise UsageError(f"The key in {variable} holds characters that no key has.")
    return Secret(value) if value else None


@lru_cache(maxsize=64)
def _known_window(model: str, base_url: str | None) -> int | None:
    """The context window that genai-prices knows for `model` of that endpoint, in tokens."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, None if base_url else "openai", base_url)
    except LookupError:
        return None
    return info.context_window


def _section(name: str, section: str, keys: Any, folder: Path) -> dict[str, Any]:
    where = f"{name}: [models.{printable(section, 100)}]"
    if not isinstance(keys, dict):
        _wrong(name, f"models.{section}", f"a section [models.{section}]", keys)
    for key in keys:
        if key not in _KEYS:
            _unknown(where, key, tuple(_KEYS))
    made = {key: _checked(where, key, _KEYS[key], value) for key, value in keys.items()}
    spec = made.setdefault("model", section)
    made["model"] = _in_folder(spec, folder)
    if _kind(spec)[0] != "openai":
        for key in _ENDPOINT_ONLY:
            if key in made:
                raise UsageError(f"{where}: {key} is for a model of an endpoint, and {printable(spec, 100)} needs none.")
    return made


def _in_folder(spec: str, folder: Path) -> str:
    """`gguf:PATH` and `script:PATH` with the path as seen from the working folder; any other as it stands."""
    kind, path = _kind(spec)
    return spec if path is None else f"{kind}:{folder / path}"


def _checked(where: str, key: str, expected: Expected, value: Any) -> Any:
    """`value` as `Model` wants it. UsageError when it is not what is expected."""
    number = isinstance(value, int | Decimal) and not isinstance(value, bool) and not (isinstance(value, Decimal) and not value.is_finite())
    match expected:
        case "count" | "whole":
            good = number and isinstance(value, int) and (expected == "whole" or value > 0) and 0 <= value <= _COUNT_MOST
        case "price":
            if number and 0 <= value <= _DEAREST:
                # $1 per million tokens is 1,000 nano-dollars a token; quantize rounds the exact figure once, upwards
                return int(Decimal(value).quantize(Decimal("0.001"), ROUND_CEILING).scaleb(3))
            good = False
        case "temperature":
            if number and 0 <= value <= 2:
                return float(value)
            good = False
        case "seconds":
            if number and 0 < value <= 86_400 and float(value) > 0:
                return float(value)
            good = False
        case "structured":
            good = value in ("json_schema", "prompt")
        case "flag":
            good = isinstance(value, bool)
        case "share":
            if number and Decimal("0.001") <= value <= 1:
                return Fraction(Decimal(value).quantize(Decimal("0.000001"), ROUND_CEILING))
            good = False
        case "grammar":
            good = isinstance(value, str) and (value == "none" or value in GRAMMAR_FORMATS)
        case "url":
            good = isinstance(value, str) and value.startswith(("http://", "https://")) and value.isprintable() and " " not in value
        case "variable":
            good = isinstance(value, str) and value.isidentifier()
        case "text":
            good = isinstance(value, str) and bool(value.strip()) and value.isprintable()
    if not good:
        _wrong(where, key, _WANTED[expected], value)
    return value


def _wrong(where: str, key: str, wanted: str, value: Any) -> NoReturn:
    place = f"{where}: {key} is" if key else f"{where} is"
    raise UsageError(f"{place} {wanted}, not {_shown(value)}.")


def _shown(value: Any) -> str:
    """A value of the file, as it stands there."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool() | str():
            return printable(json.dumps(value, ensure_ascii=False), 60)
        case int() if value.bit_length() > limits.INT_BITS:
            return "so large a number"
    return printable(str(value), 60)


def _unknown(where: str, key: str, known: tuple[str, ...]) -> NoReturn:
    close = difflib.get_close_matches(key[:100], known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
    raise UsageError(f"{where}: there is no key {printable(key, 100)}.", hint=hint)
