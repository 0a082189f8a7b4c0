"""A function."""
from __future__ import annotations

import os
import sys

import plainpkg
from plainpkg import sub as renamed
import envpkg, low
import high

import report

X: int | nothing = [plainpkg.X, renamed.Y, envpkg.MODE, high.SUM, os.sep]


def handler(event, context):
    return report.of(globals())
