"""Tasks whose answer is computed from the data alone: counting, sorting, joining, cutting texts up. No sub-calls are needed."""

from __future__ import annotations

from benchmarks.write_programs.task import Datum, Task

_LOG = [
    "2026-03-01 08:00:01 INFO service started",
    "2026-03-01 08:02:10 ERROR cannot open socket: timeout",
    "2026-03-01 08:02:15 WARN retrying in 5 s",
    "2026-03-01 08:02:20 ERROR cannot open socket: refused",
    "2026-03-01 08:03:00 INFO connected",
    "2026-03-01 09:15:42 WARN Timeout while reading",
    "2026-03-01 09:16:00 ERROR disk almost full",
    "2026-03-01 09:20:00 INFO user said: ERROR is my middle name",
    "2026-03-01 10:00:00 INFO service stopped",
]
_PLAYERS = [("Mia", 88), ("Omar", 95), ("Lena", 73), ("Kofi", 91), ("Ines", 67), ("Yuki", 93)]
_SALES = [("north", 120), ("south", 80), ("north", 40), ("east", 200), ("south", 150), ("west", 30), ("east", 10)]
_CUSTOMERS = [(1, "Harbour Cafe"), (2, "Miller & Sons"), (3, "Lakeside School"), (4, "Old Mill")]
_ORDERS = [(101, 2, 250), (102, 1, 90), (103, 2, 35), (104, 3, 400), (105, 1, 10), (106, 3, 5)]
_ADDRESSES = ["ada@example.org", "Bob@Example.org ", "ADA@example.org", " carl@example.com", "bob@example.org", "dora@example.net"]
_NOTE = """Please send the minutes to paul.green@council.example and to mary@council.example.
If Paul is away, write to desk@council.example; never to info@old.example, which is closed.
Thanks! Reply to mary@council.example by Friday."""
_INVOICE = """Invoice 4471
Oak planks: 3 x 24.50
Screws: 10 x 0.20
Varnish: 2 x 13.75
Delivery: 1 x 9.00
Thank you for your order."""
_CODE = {
    "app/main.py": "import sys\n\n# TODO: read the options\nprint(sys.argv)\n",
    "app/store.py": "class Store:\n    pass\n",
    "app/mail.py": "def send(to):\n    # TODO retry\n    # TODO log\n    return None\n",
    "docs/guide.md": "# Guide\n\nTODO: write this page.\n",
    "tests/test_store.py": "def test_store():\n    assert True\n    assert 1\n",
}
_TEMPERATURES = [("Oslo", 4.5), ("Rome", 18.0), ("Oslo", 7.0), ("Cairo", 29.5), ("Rome", 22.5), ("Cairo", 25.0), ("Oslo", 1.5)]
_TABLE = """name,category,price
apple,fruit,1.20
bread,bakery,3.50
pear,fruit,2.10
roll,bakery,0.80
fig,fruit,4.00"""
_PRICES = [101.5, 99.0, 104.0, 103.5, 110.25, 108.0, 113.0]
_WORDS = ["listen", "stone", "silent", "banana", "notes", "enlist", "onset", "apple"]
_EVENTS = [
    ("2026-05-02", "Spring market"),
    ("2026-04-28", "Choir practice"),
    ("2026-05-19", "School concert"),
    ("2026-06-03", "Open day"),
    ("2026-05-07", "Book swap"),
]
_INVITED = ["Tom", "Aisha", "Greta", "Luis", "Wen", "Bo"]
_REPLIED = ["Greta", "Bo", "Tom"]
_STORY = "The quick messenger crossed the mountainside before breakfast and returned with nothing but uncomfortable shoes."
_PAGES = {
    "2026/january.txt": "Snow.\nCold.\n",
    "2026/february.txt": "Rain all month, and the river rose over the lower fields.\nNo frost.\n",
    "2026/march.txt": "First flowers.\n",
    "readme.txt": "Weather notes.\n",
}

TASKS = (
    Task(
        "log lines by level",
        "How many of the log lines have the level ERROR? The level is the third word of a line. Answer with a number.",
        {"log": Datum("[text]", _LOG)},
        3,
        'answer len([l for l in log if l.split(" ")[2] == "ERROR"])',
        'FINAL(sum(1 for l in log if l.split()[2] == "ERROR"))',
    ),
    Task(
        "lines with a word",
        "How many lines of the text contain the word timeout, in upper or lower case? Answer with a number.",
        {"log": Datum("text", "\n".join(_LOG))},
        2,
        'answer count([l for l in lines(log) if "timeout" in l.lower()])',
        'FINAL(sum("timeout" in l.lower() for l in log.splitlines()))',
    ),
    Task(
        "top three",
        "Which three players have the highest scores? Answer with a list of their names, best first.",
        {"players": Datum("[{name: text, score: int}]", [{"name": n, "score": s} for n, s in _PLAYERS])},
        ["Omar", "Yuki", "Kofi"],
        "answer [p.name for p in sorted(players, key=p => p.score, reverse=true)[:3]]",
        'FINAL([p["name"] for p in sorted(players, key=lambda p: -p["score"])[:3]])',
    ),
    Task(
        "totals by group",
        "What is the total amount of each region? Answer with a list of {region, total}, largest total first.",
        {"sales": Datum("[{region: text, amount: int}]", [{"region": r, "amount": a} for r, a in _SALES])},
        [{"region": r, "total": t} for r, t in (("south", 230), ("east", 210), ("north", 160), ("west", 30))],
        "totals = [{region: g.key, total: sum(s.amount for s in g.items)} for g in group_by(sales, key=s => s.region)]\n"
        "answer sorted(totals, key=t => t.total, reverse=true)",
        "totals = {}\nfor s in sales:\n    totals[s['region']] = totals.get(s['region'], 0) + s['amount']\n"
        "FINAL([{'region': r, 'total': t} for r, t in sorted(totals.items(), key=lambda x: -x[1])])",
    ),
    Task(
        "join of two lists",
        "What did each customer spend in total? Answer with a list of {name, total} in the order of the customers; a customer with no "
        "order has the total 0.",
        {
            "customers": Datum("[{id: int, name: text}]", [{"id": i, "name": n} for i, n in _CUSTOMERS]),
            "orders": Datum(
                "[{order: int, customer: int, amount: int}]", [{"order": o, "customer": c, "amount": a} for o, c, a in _ORDERS]
            ),
        },
        [{"name": n, "total": sum(a for _, c, a in _ORDERS if c == i)} for i, n in _CUSTOMERS],
        "answer [{c.name, total: sum([o.amount for o in orders if o.customer == c.id])} for c in customers]",
        "FINAL([{'name': c['name'], 'total': sum(o['amount'] for o in orders if o['customer'] == c['id'])} for c in customers])",
    ),
    Task(
        "different addresses",
        "How many different e-mail addresses are in the list, if upper and lower case and surrounding spaces do not count? "
        "Answer with a number.",
        {"addresses": Datum("[text]", _ADDRESSES)},
        4,
        "answer len(unique([a.strip().lower() for a in addresses]))",
        "FINAL(len({a.strip().lower() for a in addresses}))",
    ),
    Task(
        "addresses in a text",
        "Which e-mail addresses occur in the note? Answer with a list without repetitions, in the order in which they first occur, without "
        "the punctuation around them.",
        {"note": Datum("text", _NOTE)},
        ["paul.green@council.example", "mary@council.example", "desk@council.example", "info@old.example"],
        r'answer unique(findall(note, r"[\w.]+@\w+(?:\.\w+)+"))',
        'import re\nFINAL(list(dict.fromkeys(re.findall(r"[\\w.]+@\\w+(?:\\.\\w+)+", note))))',
    ),
    Task(
        "sum of an invoice",
        "Each item line of the invoice says: name: count x price. What is the total of the invoice, the sum of count times price over all "
        "item lines? Answer with a number.",
        {"invoice": Datum("text", _INVOICE)},
        112.0,
        'items = [l.split(": ")[1].split(" x ") for l in lines(invoice) if " x " in l]\n'
        "answer sum(float(i[0]) * float(i[1]) for i in items)",
        "import re\nFINAL(sum(int(n) * float(p) for n, p in re.findall(r': (\\d+) x ([\\d.]+)', invoice)))",
    ),
    Task(
        "files with a mark",
        "Which files contain TODO? Answer with a list of their paths, sorted by path.",
        {"repo": Datum("dir", _CODE)},
        ["app/mail.py", "app/main.py", "docs/guide.md"],
        'answer sorted([f.path for f in repo.files("**/*") if "TODO" in f.text])',
        "FINAL(sorted(path for path, text in repo.items() if 'TODO' in text))",
    ),
    Task(
        "marks by file",
        "How often does TODO occur in each Python file (ending in .py)? Answer with a list of {path, count}, leaving out files where it "
        "does not occur, most often first.",
        {"repo": Datum("dir", _CODE)},
        [{"path": "app/mail.py", "count": 2}, {"path": "app/main.py", "count": 1}],
        'counts = [{f.path, count: count(f.text, "TODO")} for f in repo.files("**/*.py")]\n'
        "answer sorted([c for c in counts if c.count > 0], key=c => c.count, reverse=true)",
        "counts = [{'path': p, 'count': t.count('TODO')} for p, t in repo.items() if p.endswith('.py') and 'TODO' in t]\n"
        "FINAL(sorted(counts, key=lambda c: -c['count']))",
    ),
    Task(
        "longest file",
        "Which file has the longest text? Answer with its path.",
        {"notes": Datum("dir", _PAGES)},
        "2026/february.txt",
        'answer max(notes.files("**/*"), key=f => len(f.text)).path',
        "FINAL(max(notes, key=lambda p: len(notes[p])))",
    ),
    Task(
        "highest mean",
        "Which city has the highest mean temperature, and what is it? Answer with {city, mean}.",
        {"readings": Datum("[{city: text, celsius: float}]", [{"city": c, "celsius": t} for c, t in _TEMPERATURES])},
        {"city": "Cairo", "mean": 27.25},
        "means = [{city: g.key, mean: mean([r.celsius for r in g.items])} for g in group_by(readings, key=r => r.city)]\n"
        "answer max(means, key=m => m.mean)",
        "by = {}\nfor r in readings:\n    by.setdefault(r['city'], []).append(r['celsius'])\n"
        "city = max(by, key=lambda c: sum(by[c]) / len(by[c]))\nFINAL({'city': city, 'mean': sum(by[city]) / len(by[city])})",
    ),
    Task(
        "column of a table",
        "The text is a table with commas. What is the sum of the prices of the rows whose category is fruit? Answer with a number.",
        {"table": Datum("text", _TABLE)},
        7.3,
        'rows = [l.split(",") for l in lines(table)[1:]]\nanswer sum(float(r[2]) for r in rows if r[1] == "fruit")',
        "rows = [l.split(',') for l in table.splitlines()[1:]]\nFINAL(sum(float(r[2]) for r in rows if r[1] == 'fruit'))",
    ),
    Task(
        "largest rise",
        "The prices are of consecutive days. What is the largest rise from one day to the next? Answer with a number.",
        {"prices": Datum("[float]", _PRICES)},
        6.75,
        "answer max([w[1] - w[0] for w in windows(prices, 2)])",
        "FINAL(max(b - a for a, b in zip(prices, prices[1:])))",
    ),
    Task(
        "anagrams",
        "Which words are made of the same letters as others? Answer with a list of groups, each a list of words, without words that have "
        "no partner.",
        {"words": Datum("[text]", _WORDS)},
        [["listen", "silent", "enlist"], ["stone", "notes", "onset"]],
        'groups = group_by(words, key=w => join(sorted(findall(w, "."))))\nanswer [g.items for g in groups if len(g.items) > 1]',
        "groups = {}\nfor w in words:\n    groups.setdefault(''.join(sorted(w)), []).append(w)\n"
        "FINAL([g for g in groups.values() if len(g) > 1])",
        ordered=False,
    ),
    Task(
        "dates in a month",
        "What are the titles of the events in May 2026? Answer with a list, earliest first.",
        {"events": Datum("[{date: text, title: text}]", [{"date": d, "title": t} for d, t in _EVENTS])},
        ["Spring market", "Book swap", "School concert"],
        'answer [e.title for e in sorted(events, key=e => e.date) if e.date.startswith("2026-05")]',
        "FINAL([e['title'] for e in sorted(events, key=lambda e: e['date']) if e['date'].startswith('2026-05')])",
    ),
    Task(
        "who has not replied",
        "Who is invited but has not replied? Answer with a list of names in alphabetical order.",
        {"invited": Datum("[text]", _INVITED), "replied": Datum("[text]", _REPLIED)},
        ["Aisha", "Luis", "Wen"],
        "answer sorted([p for p in invited if p not in replied])",
        "FINAL(sorted(set(invited) - set(replied)))",
    ),
    Task(
        "longest words",
        "What are the two longest words of the sentence, without punctuation? Answer with a list, longest first.",
        {"sentence": Datum("text", _STORY)},
        ["uncomfortable", "mountainside"],
        "answer sorted(words(sentence), key=w => len(w), reverse=true)[:2]",
        "import re\nFINAL(sorted(re.findall(r'\\w+', sentence), key=len, reverse=True)[:2])",
    ),
)
