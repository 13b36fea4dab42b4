"""Tasks that need sub-calls: somebody has to read. The first half asks one thing of each piece; asking_more.py has the rest."""

from __future__ import annotations

from benchmarks.write_programs.oracle import Fact
from benchmarks.write_programs.task import Datum, Seen, Task

SENTIMENT = Fact(
    r"sentiment|positive|negative|mood|opinion|feel|like|happy|recommend",
    {
        "positive": r"positive|happy|satisf|good|praise|favou?rable|like|recommend",
        "negative": r"negative|unhappy|dissatisf|bad|complain|critic",
    },
)
_REVIEWS = [
    ("Works exactly as described, and the battery lasts all week.", "positive", "nothing"),
    ("The battery died after two hours. Sending it back.", "negative", "battery"),
    ("Lovely bright display, my parents can read everything.", "positive", "nothing"),
    ("After a month the glass cracked by itself in my pocket.", "negative", "screen"),
    ("I would buy it again tomorrow.", "positive", "nothing"),
    ("Charging it three times a day is no fun at all.", "negative", "battery"),
    ("Twice what the shop next door asks. Never again.", "negative", "price"),
    ("It has been a faithful companion on every trip.", "positive", "nothing"),
    ("It will not hold a charge since the update.", "negative", "battery"),
]
_REVIEW_FACTS = tuple(Seen(text, {"sentiment": mood, "cause": cause}) for text, mood, cause in _REVIEWS)
_REVIEW_DATA = {"reviews": Datum("[text]", [text for text, _, _ in _REVIEWS])}
_CAUSE = Fact(
    r"cause|reason|why|what .*(complain|problem|blame|about)|battery|screen|price|complaint|issue|problem",
    {"battery": r"battery|power|charg", "screen": r"screen|display|glass", "price": r"price|cost|expens", "nothing": r"nothing|none|other"},
)
_TICKETS = [
    ("I was charged twice for the same month.", "billing", 5),
    ("The app closes itself when I open the camera.", "technical", 6),
    ("My parcel was left in the rain three doors down.", "shipping", 4),
    ("Please send the invoice to my new company instead.", "billing", 2),
    ("Since last night nobody in our clinic can log in.", "technical", 10),
    ("The password mail never arrives.", "technical", 7),
    ("Where is my order? It should have come on Monday.", "shipping", 3),
]
_DEPARTMENT = Fact(
    r"department|category|categor|classif|kind|topic|billing|technical|shipping|team|class",
    {"billing": r"billing|payment|invoice", "technical": r"technical|tech\b|software", "shipping": r"shipping|deliver|logistic"},
)
_URGENCY = Fact(r"urgen|priorit|important|rate|score|scale")
_TICKET_FACTS = tuple(Seen(text, {"department": where, "urgency": n}) for text, where, n in _TICKETS)
_TICKET_DATA = {"tickets": Datum("[text]", [text for text, _, _ in _TICKETS])}
_LETTERS = [
    ("Dear aunt, greetings from Porto, where I have found a room near the river. Yours, Helena", "Helena", "Porto", 23),
    ("This is Viktor. Since spring I live in Graz with two cats and too many books.", "Viktor", "Graz", 41),
    ("Hello from Leeds! The bakery opens next week; come and visit. Hugs, Priya", "Priya", "Leeds", 35),
    ("Bergen is wet, as you said it would be. I bought a coat. Regards, Jonas", "Jonas", "Bergen", 58),
]
_WRITERS = tuple(Seen(text, {"name": name, "city": city}) for text, name, city, _ in _LETTERS)
_PERSON = {"name": Fact(r"name|person|who|writer|author|sender"), "city": Fact(r"city|town|place|where|live")}
_MINUTES = {
    "monday.txt": ("We agreed to take on two more nurses for the night shift.", "hiring"),
    "tuesday.txt": ("The heating will be replaced in August, whatever it costs.", "building"),
    "wednesday.txt": ("The post of the second cook is to be advertised this week.", "hiring"),
    "thursday.txt": ("We talked about the summer party for an hour and decided nothing.", "party"),
    "friday.txt": ("No new staff this year, we decided, but the contract of Ms Bell is extended.", "hiring"),
}
_SUBJECT = Fact(
    r"staff|hir|personnel|employ|about|decision|decid|topic|subject",
    {"hiring": r"staff|hir|personnel|employ|job|recruit", "building": r"building|heating", "party": r"party"},
)
_CHAPTERS = """The ferry was late that morning. Marta stood at the rail and counted gulls.

Nobody had told her that the island had no hotel. A man named Feodor offered her a bed above his shop.

In the evening it rained. The lamps were lit early, and the street was empty.

Marta wrote a letter to her sister Agnes. Feodor read the newspaper aloud, badly.

On Sunday old Captain Brandt came by with a basket of eels, and stayed until midnight."""
_NAMED = (
    Seen("Marta stood at the rail", {"people": ["Marta"]}),
    Seen("A man named Feodor offered", {"people": ["Feodor"]}),
    Seen("Marta wrote a letter to her sister Agnes. Feodor read", {"people": ["Marta", "Agnes", "Feodor"]}),
    Seen("old Captain Brandt came by", {"people": ["Brandt"]}),
)
_RECEIPTS = [
    ("Lunch with the architect, paid by card, thirty-two euros and fifty cents.", 32.5),
    ("Taxi to the station: a ten euro note, and I let him keep the change.", 10.0),
    ("Two rolls of drawing paper at seven euros apiece.", 14.0),
    ("Parking, four hours at one euro fifty each.", 6.0),
]
_SENTENCES = [
    ("Das Wetter ist heute besser als gestern.", "german"),
    ("The train leaves from platform nine.", "english"),
    ("Il gatto dorme sul divano.", "italian"),
    ("Ich habe mein Buch vergessen.", "german"),
    ("Dove hai messo le chiavi?", "italian"),
    ("Wir sehen uns am Freitag.", "german"),
]
_LANGUAGES = {"german": r"german|deutsch", "english": r"english", "italian": r"italian"}
_EXPERTS = [
    ("I would sign the contract today; the terms will never be better.", "yes"),
    ("Wait. The seller hides something about the roof.", "no"),
    ("A fair offer from honest people, so go ahead.", "yes"),
    ("My advice is to walk away while you can.", "no"),
    ("Take it before somebody else does.", "yes"),
]
_JUDGED = {
    "yes": r"\byes\b|for it|in favou?r|recommend|approve|accept|sign|agree|buy|support",
    "no": r"\bno\b|against|reject|refuse|oppose|decline",
}

TASKS = (
    Task(
        "count by sentiment",
        "How many of the reviews are positive? Answer with a number.",
        _REVIEW_DATA,
        4,
        'answer len([r for r in reviews if call "Is this review positive?" on r -> bool])',
        "replies = llm_query_batched([f'Is this review positive? Answer yes or no.\\n\\n{r}' for r in reviews])\n"
        "FINAL(sum('yes' in r.lower() for r in replies))",
        seen=_REVIEW_FACTS,
        words={"sentiment": SENTIMENT},
    ),
    Task(
        "tally of departments",
        "Each ticket belongs to one of the departments billing, technical and shipping. How many tickets has each? "
        "Answer with {billing, technical, shipping}.",
        _TICKET_DATA,
        {"billing": 2, "technical": 3, "shipping": 2},
        'kinds = [call "Which department?" on t -> "billing" | "technical" | "shipping" for t in tickets]\n'
        'answer {billing: count(kinds, "billing"), technical: count(kinds, "technical"), shipping: count(kinds, "shipping")}',
        "ask = 'Which department is this ticket for: billing, technical or shipping? Answer with one word.\\n\\n'\n"
        "kinds = [k.strip().lower() for k in llm_query_batched([ask + t for t in tickets])]\n"
        "FINAL({d: kinds.count(d) for d in ('billing', 'technical', 'shipping')})",
        seen=_TICKET_FACTS,
        words={"department": _DEPARTMENT},
    ),
    Task(
        "records from letters",
        "Who wrote each letter, and from which city? Answer with a list of {name, city}, in the order of the letters.",
        {"letters": Datum("[text]", [text for text, *_ in _LETTERS])},
        [{"name": name, "city": city} for _, name, city, _ in _LETTERS],
        'answer [call "Who wrote this, and in which city?" on l -> {name: text, city: text} for l in letters]',
        'import json\nask = \'Who wrote this letter, and in which city? Reply with JSON: {"name": "...", "city": "..."}\\n\\n\'\n'
        "FINAL([json.loads(r) for r in llm_query_batched([ask + l for l in letters])])",
        seen=_WRITERS,
        words=_PERSON,
    ),
    Task(
        "files on a subject",
        "Which of the files are about staff: taking people on, or keeping them? Answer with a list of file paths, sorted by path.",
        {"minutes": Datum("dir", {path: text for path, (text, _) in _MINUTES.items()})},
        ["friday.txt", "monday.txt", "wednesday.txt"],
        'answer sorted([f.path for f in minutes.files() if call "Is this about staff?" on f.text -> bool])',
        "paths = sorted(minutes)\n"
        "replies = llm_query_batched(['Is this about staff? Answer yes or no.\\n\\n' + minutes[p] for p in paths])\n"
        "FINAL([p for p, r in zip(paths, replies) if 'yes' in r.lower()])",
        seen=tuple(Seen(text, {"subject": subject}) for text, subject in _MINUTES.values()),
        words={"subject": _SUBJECT},
    ),
    Task(
        "people in a book",
        "Which people are named in the story? Ask about one paragraph at a time. Answer with a list of names without repetitions, "
        "in alphabetical order.",
        {"story": Datum("text", _CHAPTERS)},
        ["Agnes", "Brandt", "Feodor", "Marta"],
        'named = [call "Which people are named?" on p -> [text; 20] for p in paragraphs(story)]\nanswer sorted(unique(flatten(named)))',
        "ask = 'Which people are named in this paragraph? Reply with the names, separated by commas, or nothing if there are none.\\n\\n'\n"
        "found = {n.strip() for r in llm_query_batched([ask + p for p in story.split('\\n\\n')]) for n in r.split(',')}\n"
        "FINAL(sorted(n for n in found if n and n.lower() not in ('none', 'nothing')))",
        seen=_NAMED,
        words={"people": Fact(r"people|name|person|character|who")},
    ),
    Task(
        "sum of amounts in prose",
        "Each receipt says, in words, what was paid. How much was paid in all? Answer with a number.",
        {"receipts": Datum("[text]", [text for text, _ in _RECEIPTS])},
        62.5,
        'answer sum([call "How much was paid, in euros?" on r -> float for r in receipts])',
        "ask = 'How many euros were paid? Reply with the number only, such as 12.50.\\n\\n'\n"
        "FINAL(sum(float(r) for r in llm_query_batched([ask + t for t in receipts])))",
        seen=tuple(Seen(text, {"amount": amount}) for text, amount in _RECEIPTS),
        words={"amount": Fact(r"amount|paid|pay|much|euro|cost|total|price|sum|number")},
    ),
    Task(
        "most urgent",
        "Which of the tickets is the most urgent? Have each one rated from 1 to 10. Answer with the text of that ticket.",
        _TICKET_DATA,
        "Since last night nobody in our clinic can log in.",
        'answer max(tickets, key=t => call "How urgent is it, from 1 to 10?" on t -> int)',
        "ask = 'How urgent is this, from 1 to 10? Reply with the number only.\\n\\n'\n"
        "rated = [int(r) for r in llm_query_batched([ask + t for t in tickets])]\nFINAL(tickets[rated.index(max(rated))])",
        seen=_TICKET_FACTS,
        words={"urgency": _URGENCY},
    ),
    Task(
        "languages counted",
        "In which languages are the sentences (German, English or Italian), and how many are in each? "
        "Answer with a list of {language, count}, the most frequent first.",
        {"sentences": Datum("[text]", [text for text, _ in _SENTENCES])},
        [{"language": "german", "count": 3}, {"language": "italian", "count": 2}, {"language": "english", "count": 1}],
        'read = [{s, language: call "Which language?" on s -> "German" | "English" | "Italian"} for s in sentences]\n'
        "groups = [{language: g.key, count: len(g.items)} for g in group_by(read, key=r => r.language)]\n"
        "answer sorted(groups, key=g => g.count, reverse=true)",
        "from collections import Counter\nask = 'Is this German, English or Italian? Reply with one word.\\n\\n'\n"
        "tally = Counter(r.strip() for r in llm_query_batched([ask + s for s in sentences]))\n"
        "FINAL([{'language': l, 'count': n} for l, n in tally.most_common()])",
        seen=tuple(Seen(text, {"language": language}) for text, language in _SENTENCES),
        words={"language": Fact(r"language|german|english|italian", _LANGUAGES)},
    ),
    Task(
        "majority of opinions",
        'Does the majority of the experts advise to sign the contract? Answer with "yes" or "no".',
        {"opinions": Datum("[text]", [text for text, _ in _EXPERTS])},
        "yes",
        'pro = [o for o in opinions if call "Does this expert advise to sign?" on o -> bool]\n'
        'answer "yes" if len(pro) > len(opinions) / 2 else "no"',
        "replies = llm_query_batched(['Does this expert advise to sign? Answer yes or no.\\n\\n' + o for o in opinions])\n"
        "pro = sum('yes' in r.lower() for r in replies)\nFINAL('yes' if pro > len(opinions) / 2 else 'no')",
        seen=tuple(Seen(text, {"advice": advice}) for text, advice in _EXPERTS),
        words={"advice": Fact(r"advi|sign|contract|opinion|recommend|favou?r|expert|yes|vote", _JUDGED)},
    ),
    Task(
        "cause of complaints",
        "What do the negative reviews complain of most often: battery, screen or price? Answer with that word.",
        _REVIEW_DATA,
        "battery",
        'bad = [r for r in reviews if call "Is this review negative?" on r -> bool]\n'
        'causes = [call "What does it complain of?" on r -> "battery" | "screen" | "price" for r in bad]\n'
        "answer max(unique(causes), key=c => count(causes, c))",
        "from collections import Counter\n"
        "moods = llm_query_batched(['Is this review positive or negative? One word.\\n\\n' + r for r in reviews])\n"
        "bad = [r for r, m in zip(reviews, moods) if 'negative' in m.lower()]\n"
        "ask = 'What does this review complain of: battery, screen or price? One word.\\n\\n'\n"
        "FINAL(Counter(c.strip().lower() for c in llm_query_batched([ask + r for r in bad])).most_common(1)[0][0])",
        seen=_REVIEW_FACTS,
        words={"cause": _CAUSE, "sentiment": SENTIMENT},
    ),
    Task(
        "negative reviews listed",
        "Which of the reviews are negative? Answer with a list of their texts, in their order.",
        _REVIEW_DATA,
        [text for text, mood, _ in _REVIEWS if mood == "negative"],
        'answer [r for r in reviews if call "Is this review negative?" on r -> bool]',
        "replies = llm_query_batched(['Is this review negative? Answer yes or no.\\n\\n' + r for r in reviews])\n"
        "FINAL([r for r, reply in zip(reviews, replies) if 'yes' in reply.lower()])",
        seen=_REVIEW_FACTS,
        words={"sentiment": SENTIMENT},
    ),
)
