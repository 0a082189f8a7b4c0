"""subject.py - a function that is measured: baked, with an event

Its folder is what peers import, its image what usetl runs.
"""

import json
import os

import peers
from measure import Failed
from rows import HERE


class Subject:
    def __init__(self, tool, name, folder, image, event_path, expected=None):
        """expected: its answer, which is the same wherever it runs, or
        None."""
        self.tool = tool
        self.name, self.folder, self.image = name, folder, image
        self.event_path, self.expected = event_path, expected
        with open(event_path, encoding="utf-8") as f:
            self.event = f.read().strip()

    def check(self, who, result):
        if self.expected is not None and result != self.expected:
            raise Failed(f"{who} answered {json.dumps(result)}")

    def invoke(self, repeat=1, recycle="rollback", tender="auto"):
        """The --stats; the result is checked."""
        result, stats = self.tool.invoke(self.image, self.event, repeat,
                                         recycle, tender)
        self.check("usetl invoke", result)
        return stats

    def fresh(self):
        """Milliseconds of a new python3 process."""
        seconds, text = peers.fresh(self.folder, self.event)
        self.check("fresh.py", json.loads(text))
        return seconds * 1e3

    def zygote(self, bench, how):
        return peers.zygote(how, self.folder, self.event_path,
                            bench.log(f"{self.name}-{how}"))

    def forks(self, bench, stack, count):
        """A contestant: milliseconds of so many requests, each by os.fork() of
        a process that stack ends."""
        process = self.zygote(bench, "fork")
        stack.callback(process.stop)

        def ask():
            got = process.ask(str(count))
            self.check("zygote.py", got["result"])
            return [us / 1e3 for us in got["us"]]

        return ask


def json_function(bench):
    """The function that most groups measure."""
    return Subject(bench.tool, "json", bench.folder, bench.image,
                   bench.event_path, bench.expected)


def bake(bench, name, event, expected=None, prepare=None):
    """A function of this folder.  prepare, if any, is called with the path of
    its copy before that is baked."""
    bench.progress.say(f"bake {name}")
    folder = bench.tool.copy(os.path.join(HERE, "functions", name))
    if prepare:
        prepare(folder)
    path = folder + ".event"
    with open(path, "w", encoding="utf-8") as f:
        json.dump(event, f)
    return Subject(bench.tool, name, folder, bench.tool.bake(folder), path,
                   expected)


def edit(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if old not in text:
        raise ValueError(f"{path}: no '{old}'")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
