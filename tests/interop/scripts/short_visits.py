"""Shake hands and leave, many times. Arguments: URI COUNT. Report: how many visits went well."""

import sys

from peer import connect, report

uri, count = sys.argv[1], int(sys.argv[2])
visits = 0
for _ in range(count):
    with connect(uri) as proxy:
        proxy._pyroBind()
        visits += 1
report(visits)
