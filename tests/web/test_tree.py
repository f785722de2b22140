from __future__ import annotations

import pytest

from http_client import Http
from pyronym.web.tree import children_of

NAMES = ["lab", "lab.camera", "lab.camera.1", "lab.camera.2", "lab-2.hall", "", ".hidden", "office.printer"]


def told(prefix: str, after: str | None = None, limit: int = 100) -> list[tuple[str, bool, int]]:
    names = [name for name in NAMES if name.startswith(prefix)]
    children = children_of(names, prefix, after, limit).children
    return [(child.label, child.is_name, child.below) for child in children]


def test_a_place_is_a_name_a_branch_or_both():
    assert told("") == [("", True, 1), ("lab", True, 3), ("lab-2", False, 1), ("office", False, 1)]
    assert told("lab.") == [("camera", True, 2)]
    assert told("lab.camera.") == [("1", True, 0), ("2", True, 0)]
    assert told("nothing.") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_give_every_child_once(limit: int):
    found: list[str] = []
    after = None
    while True:
        page = children_of(NAMES, "", after, limit)
        assert len(page.children) <= limit
        found += [child.label for child in page.children]
        assert len(found) <= 4
        if page.next is None:
            break
        after = page.next
    assert found == ["", "lab", "lab-2", "office"]


def test_the_tree_is_told_by_http(http: Http):
    for name in ("lab.camera.1", "lab.camera.2", "lab"):
        http.put(name)
    answer = http.get("/api/v1/tree", prefix="")
    assert answer.json["children"] == [
        {"label": "Pyro", "is_name": False, "below": 1},
        {"label": "lab", "is_name": True, "below": 2},
    ]
    assert http.get("/api/v1/tree", prefix="lab.").json == {
        "children": [{"label": "camera", "is_name": False, "below": 2}],
        "next": None,
    }


def test_a_page_of_the_tree_is_bounded(http: Http):
    assert http.get("/api/v1/tree", limit=1001).problem[0] == 422
