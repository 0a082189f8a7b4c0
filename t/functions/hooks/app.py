"""hooks - what happens once, and what happens in every clone."""

import random
import time

import usetl

seen = {"ready": 0, "clone": 0, "calls": 0}
frozen = random.random()
drawn = []


@usetl.on_ready
def ready():
    seen["ready"] += 1
    seen["table"] = sum(range(100000))


@usetl.on_clone
def clone():
    seen["clone"] += 1
    drawn.append(random.random())


def handler(event, context):
    seen["calls"] += 1
    return {**seen, "frozen": frozen, "drawn": drawn[-1],
            "random": random.random(), "id": context.request_id,
            "time": time.time(),
            "left": context.get_remaining_time_in_millis(),
            "memory": context.memory_limit_in_mb}
