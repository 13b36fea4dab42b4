"""Who answers: one module a kind of provider, imported when one is opened."""

from __future__ import annotations

from rlmlang.lm.request import Model, Provider


def open_provider(model: Model) -> Provider:
    """The provider of `model`. Raises UsageError where its address, file or rules cannot be used."""
    if model.provider == "script":
        from rlmlang.lm.providers.script import ScriptProvider

        return ScriptProvider(model)
    if model.provider == "gguf":
        from rlmlang.lm.providers.gguf import GgufProvider

        return GgufProvider(model)
    from rlmlang.lm.providers.openai import OpenAIProvider

    return OpenAIProvider(model)
