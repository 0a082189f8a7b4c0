"""draws.py URL COUNT CONNECTIONS - ask the entropy function, compare all.

Prints one JSON object: what each check found, empty lists where all is well.
"""

import collections
import http.client
import json
import sys
import threading
import urllib.parse

SLOW_EVERY = 20                     # requests, to one that draws slow ones


def ask(conn, path, event):
    conn.request("POST", path, json.dumps(event))
    answer = conn.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body[:2000]!r}")
    return json.loads(body)


def all_answers(host, path, count, connections):
    todo, answers, errors = iter(range(count)), [], []
    lock = threading.Lock()

    def caller():
        conn = http.client.HTTPConnection(host, timeout=120)
        try:
            while True:
                with lock:
                    i = next(todo, None)
                if i is None:
                    return
                answers.append(ask(conn, path,
                                   {"slow": i % SLOW_EVERY == 0}))
        except Exception as e:
            errors.append(repr(e))

    threads = [threading.Thread(target=caller) for _ in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers, errors


def twice(warm, answers):
    """Generators one of whose values came before, from whichever."""
    seen, found = {}, collections.Counter()
    of = [("warm-up", t) for t in warm["drawn"]]
    of += [("a request", t) for a in answers for t in a["drawn"]]
    for where, table in of:
        for name, value in table.items():
            if value in seen:
                found["%s: as %s of %s" % (name, *seen[value])] += 1
            else:
                seen[value] = name, where
    return [f"{text}, {n} times" for text, n in sorted(found.items())]


def differ(tables):
    """Names whose value is not the same in all."""
    return sorted({name for t in tables for name in t
                   if t[name] != tables[0][name]})


def main():
    url, count, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    parts = urllib.parse.urlsplit(url)
    warm = ask(http.client.HTTPConnection(parts.netloc, timeout=120),
               parts.path, {"warm": True})
    answers, errors = all_answers(parts.netloc, parts.path, count,
                                  connections)
    if not answers:
        sys.exit(f"no answer: {errors[:3]}")
    pids = collections.Counter(a["pid"] for a in answers)
    pids.update([warm["pid"]])
    print(json.dumps({
        "errors": errors[:10],
        "answers": len(answers),
        "names": sum(len(t) for t in answers[0]["drawn"]),
        "twice": twice(warm, answers),
        "seeded": differ([a["seeded"] for a in answers]),
        "seeded_go_on": [n for n in answers[0]["seeded"] if len(
            {a["seeded"][n] for a in answers}) != len(answers)],
        "n_seeded": len(answers[0]["seeded"]),
        "inherited": differ([a["inherited"] for a in answers + [warm]]),
        "pids": [p for p, n in pids.items() if n > 1],
        "pid": max(pids.values()),
        "n_pids": len({a["pid"] for a in answers}),
        "tids": [a["tid"] for a in answers if not
                 a["pid"] == a["tid"] == int(a["self"])][:5],
        "ppids": len({a["ppid"] for a in answers}),
        "ppid_is_warm": answers[0]["ppid"] == warm["pid"],
        "ids": len({a["id"] for a in answers}),
        "n_nodes": min(len(set(n)) for n in zip(*[a["nodes"]
                                                  for a in answers])),
        "wheels": warm["wheels"],
        "missing": warm["missing"],
    }))


main()
