"""rlm.toml, the options and the environment, made into models."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlmlang.errors import UsageError
from rlmlang.lm.config import Config, Models, load_config, read_config, resolve_models
from rlmlang.lm.request import Model

EXAMPLE = """
model = "small"
concurrency = 32
budget = ["$2", "10 min"]
memo = "off"

[models.small]
model = "gpt-4o-mini"
base_url = "https://example.org/v1"
api_key_env = "SMALL_KEY"
context_window = 1000
max_output_tokens = 200
input_price = 0.15
output_price = 0.6
concurrency = 8
requests_per_minute = 60
tokens_per_minute = 10000
temperature = 0.5
structured = "prompt"
reasoning_tokens = 300
timeout = 30
grammar = "vllm"

[models.plain]
"""


def resolve(
    text: str = "", *, model: str | None = None, base_url: str | None = None, concurrency: int | None = None, **environ: str
) -> Models:
    return resolve_models(read_config(text, "rlm.toml"), model=model, base_url=base_url, concurrency=concurrency, environ=environ)


def default(text: str = "", **more: Any) -> Model:
    models = resolve(text, **more)
    return models[models.default]


def test_the_whole_of_a_file() -> None:
    config = read_config(EXAMPLE, "rlm.toml")
    assert (config.model, config.concurrency, config.budget, config.memo) == ("small", 32, ("$2", "10 min"), "off")
    small = default(EXAMPLE, SMALL_KEY="secret")
    assert small.api_key is not None and small.api_key.reveal() == "secret" and "secret" not in repr(small)
    assert small == Model(
        name="small",
        provider="openai",
        model="gpt-4o-mini",
        base_url="https://example.org/v1",
        api_key=small.api_key,
        context_window=1000,
        max_output_tokens=200,
        input_price=150,
        output_price=600,
        concurrency=8,
        requests_per_minute=60,
        tokens_per_minute=10_000,
        temperature=0.5,
        structured="prompt",
        reasoning_tokens=300,
        timeout=30.0,
        grammar="vllm",
    )
    plain = resolve(EXAMPLE)["plain"]
    assert (plain.model, plain.concurrency, plain.base_url) == ("plain", 32, None)


def test_with_nothing_set_the_model_is_local() -> None:
    model = default()
    assert (model.name, model.provider, model.path, model.concurrency) == ("local", "gguf", None, 4)
    assert model.context_window == 8192


def test_how_a_server_takes_grammars() -> None:
    assert default(model="local").grammar == "llamacpp"
    assert default(model="gpt-5-mini").grammar == default(model="gpt-5", base_url="https://api.openai.com/v1").grammar == "openai"
    assert default('[models.gpt-5]\ngrammar = "none"', model="gpt-5").grammar is None
    assert default(model="gpt-4o").grammar is None  # it has no custom tools
    assert default(model="gpt-5", base_url="http://localhost:8000/v1").grammar is None


def test_option_before_environment_before_file() -> None:
    assert default('model = "a"').name == "a"
    assert default('model = "a"', RLM_MODEL="b").name == "b"
    assert default('model = "a"', RLM_MODEL="b", model="c").name == "c"
    assert default('model = "a"', RLM_MODEL="").name == "a"
    assert default("concurrency = 3\n[models.a]\nconcurrency = 5", model="a").concurrency == 5
    assert default("concurrency = 3\n[models.a]\nconcurrency = 5", model="a", concurrency=7).concurrency == 7
    assert default("concurrency = 3", model="a").concurrency == 3
    assert default(model="a").concurrency == 16


@pytest.mark.parametrize(
    ("price", "nano"),
    [
        ("0.15", 150),
        ("0.075", 75),
        ("3", 3000),
        ("0", 0),
        ("0.0001", 1),
        ("1e-999999999", 1),
        ("0.0010000000000000000000000000000000000001", 2),
        ("1_000_000", 10**9),
    ],
)
def test_prices_are_exact_and_round_up(price: str, nano: int) -> None:
    assert default(f"[models.m]\ninput_price = {price}", model="m").input_price == nano


@given(st.decimals(min_value=0, max_value=1000, allow_nan=False, places=6))
def test_a_price_is_never_rounded_down(price: Any) -> None:
    nano = default(f"[models.m]\noutput_price = {price:f}", model="m").output_price
    assert nano is not None and price * 1000 <= nano < price * 1000 + 1


def test_where_the_openai_key_goes() -> None:
    def key(text: str = "", **more: Any) -> str | None:
        made = default(text, model="m", OPENAI_API_KEY="open", **more).api_key
        return None if made is None else made.reveal()

    assert key() == "open"
    assert key(OPENAI_BASE_URL="http://localhost:1/v1") == "open"
    assert key(base_url="http://localhost:1/v1") == "open"
    assert key('[models.m]\nbase_url = "http://elsewhere/v1"') is None
    assert key('[models.m]\nbase_url = "http://elsewhere/v1"\napi_key_env = "OTHER"', OTHER=" other\n") == "other"
    assert key('[models.m]\napi_key_env = "OTHER"') is None
    with pytest.raises(UsageError) as caught:
        key('[models.m]\napi_key_env = "OTHER"', OTHER="bad\nkey")
    assert "bad" not in caught.value.message


def test_where_a_model_is_asked() -> None:
    assert default(model="m", OPENAI_BASE_URL="http://a/v1").base_url == "http://a/v1"
    assert default(model="m", OPENAI_BASE_URL="http://a/v1", base_url="http://b/v1").base_url == "http://b/v1"
    text = '[models.m]\nbase_url = "http://c/v1"'
    assert default(text, model="m", OPENAI_BASE_URL="http://a/v1").base_url == "http://c/v1"
    assert default(text, model="m", base_url="http://b/v1").base_url == "http://b/v1"
    assert resolve(text, model="other", base_url="http://b/v1")["m"].base_url == "http://c/v1"


def test_the_window_of_a_known_model() -> None:
    assert default(model="gpt-4o-mini").context_window == 128_000
    assert default(model="no-such-model-at-all").context_window is None


def test_scripts(tmp_path: Path) -> None:
    rules = tmp_path / "rules.jsonl"
    rules.write_text('{"reply": 1}')
    first = default(model=f"script:{rules}")
    assert (first.provider, first.path, first.name, first.concurrency) == ("script", str(rules), f"script:{rules}", 64)
    rules.write_text('{"reply": 2}')
    assert default(model=f"script:{rules}").model != first.model
    (tmp_path / "rlm.toml").write_text('model = "script:rules.jsonl"\n[models.s]\nmodel = "script:rules.jsonl"\nstructured = "prompt"')
    models = resolve_models(load_config(tmp_path / "rlm.toml"), model=None, base_url=None, concurrency=None, environ={})
    assert models[models.default].path == models["s"].path == str(rules)
    with pytest.raises(UsageError, match="no file of rules"):
        default(model=f"script:{tmp_path}/none")


def test_a_missing_file_matters_only_to_who_uses_it() -> None:
    models = resolve('[models.s]\nmodel = "script:none.jsonl"', model="m")
    with pytest.raises(UsageError):
        models["s"]


@pytest.mark.parametrize("data", [b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 16, b"PK\x03\x04"])
def test_files_that_are_no_gguf(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"m\.gguf"):
        default(model=f"gguf:{path}")


def test_a_mapping_of_names() -> None:
    models = resolve(EXAMPLE, model="gpt-x")
    assert list(models) == ["gpt-x", "small", "plain", "local"] and "small" in models and len(models) == 4
    assert next(iter(models.values())) is models["gpt-x"] is models["gpt-x"]
    assert models["local"].provider == "gguf"
    with pytest.raises(UsageError, match="No model is called smal") as caught:
        models["smal"]
    assert caught.value.hint == "Did you mean small?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model = 3", "model is a text, not 3"),
        ("modle = 'a'", "no key modle"),
        ("budget = 5", "budget is a text such as"),
        ("concurrency = 0", "concurrency is a whole number from 1, not 0"),
        ("concurrency = true", "not true"),
        ("models = 3", "models is sections [models.NAME], not 3"),
        ("[models]\na = 3", "models.a is a section [models.a], not 3"),
        ("[models.a]\nbase_url = 'ftp://x'", '[models.a]: base_url is a text that starts with http:// or https://, not "ftp://x"'),
        ("[models.a]\ninput_prize = 1", "[models.a]: there is no key input_prize"),
        ("[models.a]\ninput_price = -1", "input_price is a number of dollars"),
        ("[models.a]\ninput_price = nan", "input_price is"),
        ("[models.a]\ninput_price = 1e999999999", "input_price is"),
        ("[models.a]\ninput_price = '1'", 'not "1"'),
        ("[models.a]\ntemperature = 3", "temperature is a number from 0 to 2"),
        ("[models.a]\ngrammar = 'ebnf'", 'grammar is "openai", "vllm", "sglang", "llamacpp" or "none"'),
        ("[models.a]\nmodel = 'local'\ngrammar = 'vllm'", "grammar is for a model of an endpoint"),
        ("[models.a]\nstructured = 'json'", 'structured is "json_schema" or "prompt"'),
        ("[models.a]\ntimeout = 0", "timeout is"),
        ("[models.a]\ncontext_window = 1.5", "context_window is a whole number from 1, not 1.5"),
        ("[models.a]\nmodel = ['x']", "model is a text, not a list"),
        ("[models.a]\nmodel = 'script:'", "needs the path"),
        ("[models.a]\nmodel = 'local'\nbase_url = 'http://x'", "base_url is for a model of an endpoint"),
        ("[models.a]\napi_key_env = 'sk-12'", "name of an environment variable"),
        ("x = ", "not valid TOML"),
        ("x = " + "[" * 50_000, "rlm.toml: "),
        ("concurrency = " + "9" * 5000, "rlm.toml: "),
        ("concurrency = 0x" + "f" * 5000, "so large a number"),
        ("model = 'a'\nmodel = 'b'", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        resolve(text, model="m")
    assert "rlm.toml" in caught.value.message or "path" in caught.value.message


def test_a_key_spelt_wrong_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        read_config("[models.a]\nbase-url = 'http://x'", "rlm.toml")
    assert caught.value.hint == "Did you mean base_url?"


@pytest.mark.parametrize("options", [{"base_url": "nonsense", "model": "m"}, {"base_url": "http://x"}, {"model": " "}, {"concurrency": 0}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        resolve("", **options)


def test_an_address_needs_a_model_of_its_own() -> None:
    with pytest.raises(UsageError, match="needs no endpoint"):
        resolve(model="local", base_url="http://x/v1")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "rlm.toml").write_bytes(b'model = "a"\nmemo = "\xff"')
    with pytest.raises(UsageError, match=r"rlm\.toml:2: not UTF-8"):
        load_config(tmp_path / "rlm.toml")
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(UsageError, match="no configuration file"):
            load_config(path)


@given(st.text())
def test_any_text_is_a_config_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(read_config(text, "rlm.toml"), Config)
