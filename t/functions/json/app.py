"""json - a small transform of a JSON record; `make bench` measures it.

Deterministic, and only of what every Python has, so that the same file runs
under the peers that it is compared with.
"""


def handler(event, context=None):
    total = 0.0
    for item in event["items"]:
        total += item["qty"] * item["price"]
    h = 0
    for i in range(200):
        h = (h * 31 + i * event["id"]) & 0xffffffff
    return {
        "id": event["id"],
        "user": event["user"].upper(),
        "total": total,
        "h": h,
        "note": event["note"][::-1],
    }
