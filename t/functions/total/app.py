import csv, io, usetl
def handler(event, context):
    rows = csv.DictReader(io.StringIO(usetl.get(event["source"]).text))
    total = sum(float(r["amount"]) for r in rows)
    usetl.post(event["sink"], data=f"{total}\n")
    return {"total": total}
