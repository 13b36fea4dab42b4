"""Which way of asking for a `-> bool` gets the most right answers from a small model.

    python benchmarks/bool_rendering.py MODEL.gguf…

For each GGUF model and each rendering: how many of the labelled questions below came back right, how often the answer was yes (half of
the labels are), and the mean reply in tokens. Every prompt is the one that `lm.render` makes for a call with one datum; a rendering
adds one line (after the introduction, or at the end) and a schema. Greedy, one call at a time, so a run repeats exactly.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from attrs import evolve, frozen

from rlmlang.lm.providers.gguf import GgufProvider
from rlmlang.lm.render import render
from rlmlang.lm.request import Message, Model, Request
from rlmlang.types import BOOL, TEXT

_REVIEW = "Is this review positive?"
_BILLING = "Does this file implement billing?"
_PLACE = "Does this text say where something happened?"
ITEMS: tuple[tuple[str, str, bool], ...] = (
    (_REVIEW, "I read it in two nights and bought a copy for my sister the next day.", True),
    (_REVIEW, "The plot falls apart in the second half, and the ending is an insult.", False),
    (_REVIEW, "Arrived broken, and nobody answered my mails.", False),
    (_REVIEW, "Works exactly as described. The battery lasts all week.", True),
    (_REVIEW, "Not bad at all: I expected little and got a wonderful evening.", True),
    (_REVIEW, "A waste of money. Avoid.", False),
    (_REVIEW, "The staff remembered our names; we will come back every summer.", True),
    (_REVIEW, "I wanted to like it, but it is slow, loud and far too expensive.", False),
    (_BILLING, "def charge(customer, invoice):\n    card = customer.default_card\n    return gateway.capture(card, invoice.total)", True),
    (_BILLING, "def resize(image, width):\n    ratio = width / image.width\n    return image.scale(ratio)", False),
    (_BILLING, "class Invoice:\n    def total(self):\n        return sum(l.price * l.count for l in self.lines) + self.tax()", True),
    (_BILLING, "def tokenize(text):\n    return [w for w in re.split(r'\\W+', text.lower()) if w]", False),
    (
        _BILLING,
        "def renew(subscription):\n    fee = PLANS[subscription.plan].fee\n    payments.request(subscription.owner, fee)",
        True,
    ),
    (
        _BILLING,
        "def connect(host, port):\n    sock = socket.create((host, port))\n    sock.settimeout(5)\n    return sock",
        False,
    ),
    (_BILLING, "def refund(payment_id, amount):\n    payment = Payment.get(payment_id)\n    gateway.refund(payment, amount)", True),
    (_BILLING, "def shuffle(cards, seed):\n    rng = random.Random(seed)\n    return rng.sample(cards, len(cards))", False),
    (_PLACE, "The treaty was signed in Vienna after months of talks.", True),
    (_PLACE, "Prices rose by three percent, more than most had expected.", False),
    (_PLACE, "A fire broke out at the harbour of Rotterdam on Monday.", True),
    (_PLACE, "She has played the violin since she was six.", False),
    (_PLACE, "Two climbers were rescued from the north face of the Eiger.", True),
    (_PLACE, "The new rule applies to all companies with over fifty employees.", False),
    (_PLACE, "The band gave its last concert in a small club in Leeds.", True),
    (_PLACE, "The committee will decide next year.", False),
)


@frozen
class Rendering:
    """`line` tells how to answer; `value` is the schema of `{"value": …}`, None for plain text; `last`: the line stands after the data."""

    name: str
    line: str
    value: dict[str, Any] | None
    last: bool = False


_BOOLEAN = {"type": "boolean"}
_YES_NO = {"type": "string", "enum": ["yes", "no"]}
_WORDS = {"type": "string", "enum": ["true", "false"]}
_FORM = "Reply with JSON of this form, and with nothing else: "
_MEANT = 'Answer yes or no, as JSON: {"value": true} for yes, {"value": false} for no.'
_SAID = 'Answer yes or no, as JSON: {"value": "yes"} or {"value": "no"}.'
RENDERINGS = (
    Rendering("boolean, form `bool`", _FORM + '{"value": bool}', _BOOLEAN),
    Rendering("boolean, form spelt out", _FORM + '{"value": true} or {"value": false}', _BOOLEAN),
    Rendering("boolean, 'yes or no'", _MEANT, _BOOLEAN),
    Rendering("boolean, 'yes or no', last", _MEANT, _BOOLEAN, last=True),
    Rendering('"yes" | "no", form', _FORM + '{"value": "yes" | "no"}', _YES_NO),
    Rendering('"yes" | "no", \'yes or no\'', _SAID, _YES_NO),
    Rendering('"yes" | "no", \'yes or no\', last', _SAID, _YES_NO, last=True),
    Rendering('"true" | "false", form', _FORM + '{"value": "true" | "false"}', _WORDS),
    Rendering("plain words", "Answer yes or no, and nothing else.", None),
    Rendering("plain words, last", "Answer yes or no, and nothing else.", None, last=True),
)


def request_for(model: Model, rendering: Rendering, question: str, datum: str) -> Request:
    """The request of `call question on datum -> bool` in that rendering."""
    plain = render(question, [(None, datum)], TEXT, model, max_tokens=24)
    introduction, rest = plain.messages[-1].content.split("\n", 1)
    parts = [introduction, rest, "", rendering.line] if rendering.last else [introduction, rendering.line, rest]
    schema = None
    if rendering.value is not None:
        schema = {"type": "object", "properties": {"value": rendering.value}, "required": ["value"], "additionalProperties": False}
    return evolve(plain, messages=(Message("user", "\n".join(parts)),), type=BOOL, schema=schema)


def meaning(text: str) -> bool | None:
    """Yes or no, or None where the reply is neither."""
    try:
        value = json.loads(text)["value"]
    except (ValueError, TypeError, KeyError):
        value = text
    word = str(value).strip().strip(".!\"'").split(None, 1)[:1]
    return {"true": True, "yes": True, "false": False, "no": False}.get(word[0].strip(".,!").lower() if word else "")


async def measure(path: str) -> None:
    """Prints the table of one model."""
    model = Model(name=path, provider="gguf", model=path, path=path, context_window=2048, concurrency=1)
    provider = GgufProvider(model)
    print(f"\n{path.rsplit('/', 1)[-1]}, {len(ITEMS)} questions\n")
    print(f"{'rendering':36} {'right':>6} {'yes':>5} {'neither':>8} {'tokens':>7} {'seconds':>8}")
    try:
        for rendering in RENDERINGS:
            start = time.monotonic()
            right = yes = neither = tokens = 0
            for question, datum, label in ITEMS:
                completion = await provider.complete(request_for(model, rendering, question, datum))
                answer = meaning(completion.text or "")
                right, yes, neither = right + (answer == label), yes + (answer is True), neither + (answer is None)
                tokens += completion.usage.output_tokens if completion.usage else 0
            seconds = time.monotonic() - start
            print(f"{rendering.name:36} {right:6} {yes:5} {neither:8} {tokens / len(ITEMS):7.1f} {seconds:8.1f}", flush=True)
    finally:
        await provider.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: bool_rendering.py MODEL.gguf…")
    for argument in sys.argv[1:]:
        asyncio.run(measure(argument))
