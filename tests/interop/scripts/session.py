"""Perform lines of Python one after the other and report what each gives.

Arguments: URI SERIALIZER KEY LINE... An empty URI, serializer or key stands for none. In the lines `ns` is a proxy for
the URI, and everything of `peer` is at hand; statements are allowed and give None. Report: a list of outcomes.
"""

import sys

import peer
from peer import connect, outcome, report

uri, serializer, key, *lines = sys.argv[1:]
names = {**vars(peer), "ns": connect(uri, serializer, key) if uri else None}


def perform(line):
    try:
        code = compile(line, "<line>", "eval")
    except SyntaxError:
        code = compile(line, "<line>", "exec")
    return eval(code, names)


report([outcome(perform, line) for line in lines])
