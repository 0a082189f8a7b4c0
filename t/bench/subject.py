"""subject.py - a function that is measured: baked, with an event

Its folder is what peers import, its image what usetl runs.
"""

import json
import os

import peers
from rows import HERE
from tool import Tool


class Subject:
    def __init__(self, tool: Tool, name, event, prepare=None):
        """name: of a folder below functions/; prepare: called with the path
        of its copy before that is baked."""
        self.tool = tool
        self.name = name
        self.folder = tool.copy(os.path.join(HERE, "functions", name))
        if prepare:
            prepare(self.folder)
        self.event = json.dumps(event)
        self.event_path = self.folder + ".event"
        with open(self.event_path, "w", encoding="utf-8") as f:
            f.write(self.event)
        self.image = tool.bake(self.folder)

    def invoke(self, repeat=1, recycle="rollback", tender="auto"):
        return self.tool.invoke(self.image, self.event, repeat, recycle,
                                tender)

    def zygote(self, bench, how):
        return peers.zygote(how, self.folder, self.event_path,
                            bench.log(f"{self.name}-{how}"))


def edit(path, old, new):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if old not in text:
        raise ValueError(f"{path}: no '{old}'")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))
