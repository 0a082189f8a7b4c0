"""numpy - a large extension module with its own libraries and vector code."""

import numpy as np


def handler(event, context):
    n = event.get("n", 100)
    a = np.arange(n * n, dtype=np.float64).reshape(n, n) / (n * n)
    product = a @ a.T
    x = np.linalg.solve(np.eye(n) * 2, np.ones(n))
    return {
        "trace": round(float(np.trace(product)), 6),
        "solved": float(x.sum()),
        "fft": round(float(np.abs(np.fft.fft(a[0])).sum()), 6),
        "sorted": int(np.sort(np.arange(1000)[::-1])[10]),
        "exp": round(float(np.exp(a).sum()), 6),
        "mean": float(np.mean(np.float32([1, 2, 4, 5]))),
        "random": int(np.random.randint(1 << 30)),
    }
