"""frame - a table by pandas: rows are grouped and summed.

Event: {"rows": N}.  The result is the same wherever it runs.
"""


import pandas


def handler(event, context=None):
    n = event["rows"]
    table = pandas.DataFrame({"group": [i % 7 for i in range(n)],
                              "value": range(n)})
    sums = table.groupby("group")["value"].sum()
    return {"sums": [int(s) for s in sums]}
