"""etl - extract CSV from a URL, transform it, load the result to another.

Event: {"source": URL, "sink": URL}.  Rows without an amount are dropped, the
others become one JSON object a line; the totals by name are the result.
"""

import csv
import json

import usetl


def transform(rows, out):
    totals = {}
    for row in rows:
        if not row.get("amount"):
            continue
        name, amount = row["name"].strip().lower(), float(row["amount"])
        totals[name] = totals.get(name, 0.0) + amount
        out.write(json.dumps({"name": name, "amount": amount}) + "\n")
    return totals


def handler(event, context):
    path = "/tmp/out.ndjson"
    with usetl.get(event["source"], timeout=5) as source, \
            open(path, "w", encoding="utf-8") as out:
        totals = transform(csv.DictReader(source.raise_for_status()), out)
    loaded = usetl.post(event["sink"], file=path, headers={
        "Content-Type": "application/x-ndjson"})
    loaded.raise_for_status()
    return {"totals": totals, "status": loaded.status}
