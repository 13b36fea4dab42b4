"""Tasks that need sub-calls and something computed from them: joins, pairs, ranks, several steps."""

from __future__ import annotations

from benchmarks.write_programs.asking import SENTIMENT
from benchmarks.write_programs.oracle import Fact
from benchmarks.write_programs.task import Datum, Seen, Task

_STATEMENTS = [
    ("The shop opens at nine.", ("hours", "nine")),
    ("Dogs may come in.", ("dogs", "yes")),
    ("We open at ten every day.", ("hours", "ten")),
    ("There is a bench outside.", ("bench", "yes")),
    ("No animals, please.", ("dogs", "no")),
]
_MAILS = [
    ("The kettle leaks on the counter since the first day.", "complaint", "kettle"),
    ("Do you also sell the blue lamp in green?", "question", "lamp"),
    ("Thank you, the toaster is a joy.", "praise", "toaster"),
    ("Your blender smells of burnt rubber, I am very disappointed.", "complaint", "blender"),
    ("How long is the warranty of the kettle?", "question", "kettle"),
    ("One leg of the stool broke off under my daughter.", "complaint", "stool"),
]
_KIND = Fact(
    r"complain|question|praise|kind|categor|classif|type",
    {"complaint": r"complain|problem|dissatisf", "question": r"question|inquir", "praise": r"praise|thank|compliment"},
)
_COMPANIES = {
    "Alder": [("They fixed it in a day, for free.", "positive"), ("Rude on the phone.", "negative"), ("I waited six weeks.", "negative")],
    "Birch": [("Quick, clean and cheap.", "positive"), ("Could not be happier.", "positive"), ("Left a mess behind.", "negative")],
    "Cedar": [("They never came.", "negative"), ("The second repair held.", "positive")],
}
_QUESTIONS = ["How do I renew my library card?", "May I bring lunch into the reading room?", "When are you open on Saturdays?"]
_RULES = [
    ("Saturday hours are ten to two, all year.", 2),
    ("Food and drink stay outside of the reading room.", 1),
    ("Cards are valid for a year; the front desk extends them for five euros.", 0),
]
_TITLES = [
    ("Registered nurse, night shift", "nurse"),
    ("Teaches maths at Hill School", "teacher"),
    ("Ward sister at St Anne's", "nurse"),
    ("Designs bridges", "engineer"),
    ("Primary school class tutor", "teacher"),
    ("Staff nurse, children's ward", "nurse"),
]
_ESSAYS = [("Ana", "The sea is salt because rivers carry it there.", 8), ("Ben", "Sea is blue and big.", 3)]
_ESSAYS += [("Chloe", "Evaporation leaves the salt behind, so it gathers over ages.", 9), ("Dev", "Salt comes from the shops.", 2)]
_ESSAYS += [("Eli", "Rain dissolves minerals in rocks, and streams take them along.", 7)]
_REPORTS = {
    "jan.txt": ("A slow month: only twelve thousand came in.", "January", 12000),
    "feb.txt": ("February brought us nineteen thousand five hundred.", "February", 19500),
    "mar.txt": ("We took in seventeen thousand in March.", "March", 17000),
}
_CHAT = [
    ("Rosa", "I will bring the projector tomorrow.", "yes"),
    ("Sam", "Is the room free?", "no"),
    ("Rosa", "No idea.", "no"),
    ("Tariq", "You can count on me for the cake.", "yes"),
    ("Sam", "The bus was late again.", "no"),
]
_GUESTS = [
    ("I turned thirty on the boat that brought me here.", 30),
    ("At forty-six one knows what one likes.", 46),
    ("My brother is ten, and I am twice as old.", 20),
    ("I was born the year before my sister, who is thirty-nine.", 40),
]
_MANUAL = "\n\n".join(
    [
        *(
            f"Section {n}. Check that valve {n} is closed. Wipe the surface with a dry cloth and note the reading in the book."
            for n in range(1, 30)
        ),
        "Section 30. If the lamp blinks, hold the round button for seven seconds; this resets the pump.",
        *(f"Section {n}. Oil joint {n} once a month. Never use water near the motor, and keep the lid shut." for n in range(31, 60)),
    ]
)
_CITIES = [
    ("Tram lines from 1901 still cross Lisbon.", "Lisbon", "Portugal"),
    ("The old bridge of Mostar was rebuilt.", "Mostar", "Bosnia"),
]
_CITIES += [("Porto smells of the river.", "Porto", "Portugal"), ("In Split the palace is full of cafes.", "Split", "Croatia")]
_YES_NO = {"yes": r"promis|commit|offer|\byes\b", "no": r"\bno\b"}

TASKS = (
    Task(
        "contradicting pairs",
        "Which pairs of statements contradict each other? Answer with a list of pairs, each a list of the two texts in their order.",
        {"statements": Datum("[text]", [text for text, _ in _STATEMENTS])},
        [["The shop opens at nine.", "We open at ten every day."], ["Dogs may come in.", "No animals, please."]],
        'answer [[a, b] for a, b in pairs(statements) if call "Do these contradict each other?" on a, b -> bool]',
        "from itertools import combinations\nall_pairs = list(combinations(statements, 2))\n"
        "replies = llm_query_batched([f'Do these contradict each other? Answer yes or no.\\n\\n1. {a}\\n2. {b}' for a, b in all_pairs])\n"
        "FINAL([list(p) for p, r in zip(all_pairs, replies) if 'yes' in r.lower()])",
        seen=tuple(Seen(text, {"claim": claim}) for text, claim in _STATEMENTS),
        words={"claim": Fact(r".", between=lambda a, b: a[0] == b[0] and a[1] != b[1])},
    ),
    Task(
        "products of complaints",
        "Which products do the complaints among the mails name? Answer with a list of names of one word, in the order of the mails.",
        {"mails": Datum("[text]", [text for text, *_ in _MAILS])},
        ["kettle", "blender", "stool"],
        'complaints = [m for m in mails if call "Is this a complaint?" on m -> bool]\n'
        'answer [call "Which product? One word." on m for m in complaints]',
        "bad = [m for m, r in zip(mails, llm_query_batched(['Is this a complaint? Answer yes or no.\\n\\n' + m for m in mails])) "
        "if 'yes' in r.lower()]\n"
        "FINAL([r.strip() for r in llm_query_batched(['Which product is named? Reply with one word.\\n\\n' + m for m in bad])])",
        seen=tuple(Seen(text, {"kind": kind, "product": product}) for text, kind, product in _MAILS),
        words={"product": Fact(r"product|item|thing|name"), "kind": _KIND},
    ),
    Task(
        "best rated company",
        "Which company has the largest share of positive reviews? Answer with its name.",
        {
            "companies": Datum(
                "[{name: text, reviews: [text]}]", [{"name": n, "reviews": [text for text, _ in rs]} for n, rs in _COMPANIES.items()]
            )
        },
        "Birch",
        'shares = [{c.name, share: mean([1.0 if call "Is this positive?" on r -> bool else 0.0 for r in c.reviews])} for c in companies]\n'
        "answer max(shares, key=s => s.share).name",
        "def share(c):\n"
        "    replies = llm_query_batched(['Is this review positive? Answer yes or no.\\n\\n' + r for r in c['reviews']])\n"
        "    return sum('yes' in r.lower() for r in replies) / len(replies)\nFINAL(max(companies, key=share)['name'])",
        seen=tuple(Seen(text, {"sentiment": mood}) for reviews in _COMPANIES.values() for text, mood in reviews),
        words={"sentiment": SENTIMENT},
    ),
    Task(
        "rule for each question",
        "Which rule answers each question? Each question is answered by exactly one rule. "
        "Answer with a list of {question, rule}, in the order of the questions.",
        {"questions": Datum("[text]", _QUESTIONS), "rules": Datum("[text]", [rule for rule, _ in _RULES])},
        [{"question": q, "rule": next(rule for rule, at in _RULES if at == i)} for i, q in enumerate(_QUESTIONS)],
        'answer [{question: q, rule: r} for q in questions for r in rules if call "Does the rule answer the question?" on q, r -> bool]',
        "found = []\nfor q in questions:\n    ask = 'Does the rule answer the question? Answer yes or no.\\n\\n'\n"
        "    replies = llm_query_batched([f'{ask}Question: {q}\\nRule: {r}' for r in rules])\n"
        "    found += [{'question': q, 'rule': r} for r, a in zip(rules, replies) if 'yes' in a.lower()]\nFINAL(found)",
        seen=(*(Seen(q, {"about": i}) for i, q in enumerate(_QUESTIONS)), *(Seen(rule, {"about": at}) for rule, at in _RULES)),
        words={"about": Fact(r".", between=lambda a, b: a == b)},
    ),
    Task(
        "most common job",
        "Which job do most of the people have: nurse, teacher or engineer? Answer with that word.",
        {"people": Datum("[text]", [text for text, _ in _TITLES])},
        "nurse",
        'jobs = [call "Which job?" on p -> "nurse" | "teacher" | "engineer" for p in people]\n'
        "answer max(group_by(jobs, key=j => j), key=g => len(g.items)).key",
        "from collections import Counter\nask = 'Which job is this: nurse, teacher or engineer? Reply with one word.\\n\\n'\n"
        "FINAL(Counter(r.strip() for r in llm_query_batched([ask + p for p in people])).most_common(1)[0][0])",
        seen=tuple(Seen(text, {"job": job}) for text, job in _TITLES),
        words={
            "job": Fact(r"job|profession|nurse|teacher|work|occupation", {"nurse": "nurse", "teacher": "teacher", "engineer": "engineer"})
        },
    ),
    Task(
        "graded essays",
        "Have each essay graded from 0 to 10 for how well it explains why the sea is salt. Which students get at least 7? "
        "Answer with a list of their names, best first.",
        {"essays": Datum("[{student: text, essay: text}]", [{"student": s, "essay": e} for s, e, _ in _ESSAYS])},
        ["Chloe", "Ana", "Eli"],
        'graded = [{e.student, grade: call "Grade from 0 to 10: does it explain why the sea is salt?" on e.essay -> int} for e in essays]\n'
        "answer [g.student for g in sorted(graded, key=g => g.grade, reverse=true) if g.grade >= 7]",
        "ask = 'Grade this essay from 0 to 10: does it explain why the sea is salt? Reply with the number only.\\n\\n'\n"
        "grades = [int(r) for r in llm_query_batched([ask + e['essay'] for e in essays])]\n"
        "FINAL([e['student'] for g, e in sorted(zip(grades, essays), key=lambda x: -x[0]) if g >= 7])",
        seen=tuple(Seen(essay, {"grade": grade}) for _, essay, grade in _ESSAYS),
        words={"grade": Fact(r"grade|score|rate|how well|0 to 10")},
    ),
    Task(
        "best month",
        "Each file reports what came in during one month, in words. Which month brought in most, and how much? "
        "Answer with {month, amount}.",
        {"reports": Datum("dir", {path: text for path, (text, _, _) in _REPORTS.items()})},
        {"month": "February", "amount": 19500},
        'read = [call "Which month, and how much came in?" on f.text -> {month: text, amount: int} for f in reports.files()]\n'
        "answer max(read, key=r => r.amount)",
        'import json\nask = \'Which month is it, and how much came in? Reply with JSON: {"month": "...", "amount": 0}\\n\\n\'\n'
        "read = [json.loads(r) for r in llm_query_batched([ask + t for t in reports.values()])]\n"
        "FINAL(max(read, key=lambda r: r['amount']))",
        seen=tuple(Seen(text, {"month": month, "amount": amount}) for text, month, amount in _REPORTS.values()),
        words={"month": Fact(r"month"), "amount": Fact(r"amount|much|revenue|income|came in|sum|number|total")},
    ),
    Task(
        "who promised something",
        "Which speakers promise something in the chat? Answer with a list of names without repetitions, in alphabetical order.",
        {"chat": Datum("[{speaker: text, said: text}]", [{"speaker": who, "said": said} for who, said, _ in _CHAT])},
        ["Rosa", "Tariq"],
        'answer sorted(unique([m.speaker for m in chat if call "Is this a promise?" on m.said -> bool]))',
        "replies = llm_query_batched(['Is this a promise? Answer yes or no.\\n\\n' + m['said'] for m in chat])\n"
        "FINAL(sorted({m['speaker'] for m, r in zip(chat, replies) if 'yes' in r.lower()}))",
        seen=tuple(Seen(said, {"promise": promise}) for _, said, promise in _CHAT),
        words={"promise": Fact(r"promis|commit|offer", _YES_NO)},
    ),
    Task(
        "mean age",
        "Each guest tells their own age in words. What is the mean age? Answer with a number.",
        {"guests": Datum("[text]", [text for text, _ in _GUESTS])},
        34.0,
        'answer mean([call "How old is the speaker?" on g -> int for g in guests])',
        "ages = [int(r) for r in llm_query_batched(['How old is the speaker? Reply with the number only.\\n\\n' + g for g in guests])]\n"
        "FINAL(sum(ages) / len(ages))",
        seen=tuple(Seen(text, {"age": age}) for text, age in _GUESTS),
        words={"age": Fact(r"\bage|old|years|number")},
    ),
    Task(
        "needle in a manual",
        "For how many seconds must the round button be held to reset the pump? The manual is long: look through it in pieces. "
        "Answer with a number.",
        {"manual": Datum("text", _MANUAL)},
        7,
        'piece = first 1 p in chunks(manual, 2000) where call "Does it say how to reset the pump?" on p -> bool\n'
        'answer call "For how many seconds must the button be held?" on piece[0] -> int',
        "pieces = [manual[i:i + 2000] for i in range(0, len(manual), 1800)]\n"
        "ask = 'For how many seconds must the round button be held? Reply with the number, or with none if the piece does not say.\\n\\n'\n"
        "found = [int(r) for r in llm_query_batched([ask + p for p in pieces]) if r.strip().isdigit()]\nFINAL(found[0])",
        seen=(Seen("hold the round button for seven seconds; this resets the pump", {"seconds": 7}),),
        words={"seconds": Fact(r"second|reset|pump|button|long|hold|number")},
    ),
    Task(
        "places by country",
        "Which city does each note speak of, and in which country is it? Answer with a list of {country, cities}, where cities is a list, "
        "in the order in which the countries first occur.",
        {"notes": Datum("[text]", [text for text, *_ in _CITIES])},
        [
            {"country": "Portugal", "cities": ["Lisbon", "Porto"]},
            {"country": "Bosnia", "cities": ["Mostar"]},
            {"country": "Croatia", "cities": ["Split"]},
        ],
        'read = [call "Which city, in which country?" on n -> {city: text, country: text} for n in notes]\n'
        "answer [{country: g.key, cities: [r.city for r in g.items]} for g in group_by(read, key=r => r.country)]",
        'import json\nask = \'Which city does this speak of, in which country? Reply with JSON: {"city": "...", "country": "..."}\\n\\n\'\n'
        "by = {}\nfor r in llm_query_batched([ask + n for n in notes]):\n    r = json.loads(r)\n"
        "    by.setdefault(r['country'], []).append(r['city'])\nFINAL([{'country': c, 'cities': v} for c, v in by.items()])",
        seen=tuple(Seen(text, {"city": city, "country": country}) for text, city, country in _CITIES),
        words={"city": Fact(r"cit(y|ies)|place|town"), "country": Fact(r"countr|land")},
    ),
)
