"""gather - many transfers at once, and every way to fail at one.

Event: {"urls": [URL, ...], "timeout": seconds}.  Each result is [status,
bytes, sum of the bytes], or the error's type and text.
"""

import usetl


def handler(event, context):
    timeout, requests = event.get("timeout"), event["urls"]
    if timeout:
        requests = [usetl.Request("GET", url, timeout=timeout)
                    for url in requests]
    results = []
    for r in usetl.gather(*requests, return_exceptions=True):
        if isinstance(r, usetl.Error):
            results.append([type(r).__name__, r.errno, str(r), r.url])
        else:
            results.append([r.status, len(r), sum(r.content), r.url])
    return results
