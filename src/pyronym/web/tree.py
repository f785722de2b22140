"""The REST API: names as a tree, in which dots lead from branch to branch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from pyronym.web.access import Asking
from pyronym.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["names"], responses=responses(400, 401, 403, 421, 422))


class ChildView(BaseModel):
    """What is at one place below a prefix."""

    label: str = Field(description="The text between the prefix and the next dot.")
    is_name: bool = Field(description="Whether the prefix and the label are a name.")
    below: int = Field(description="How many names begin with the prefix, the label and a dot.")


class ChildrenView(BaseModel):
    """A page of what is below a prefix, sorted by label."""

    children: list[ChildView]
    next: str | None = Field(description="`after` for the next page; null: this is the last.")


@router.get("/tree")
def children(
    guard: Asking,
    prefix: Annotated[str, Query(description="Below what: empty, or with its last dot.")] = "",
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Children on one page.")] = 200,
) -> ChildrenView:
    """What is directly below a prefix."""
    return children_of((record.name for record in guard.with_prefix(prefix)), prefix, after, limit)


def children_of(names: Iterable[str], prefix: str, after: str | None, limit: int) -> ChildrenView:
    """A page of the children of `prefix`, of these names, which all begin with it."""
    leaves = set()
    below: Counter[str] = Counter()
    for name in names:
        label, dot, _ = name[len(prefix) :].partition(".")
        if dot:
            below[label] += 1
        else:
            leaves.add(label)
    to_come = (label for label in leaves | below.keys() if after is None or label > after)
    labels = nsmallest(limit + 1, to_come)
    page = [ChildView(label=label, is_name=label in leaves, below=below[label]) for label in labels[:limit]]
    return ChildrenView(children=page, next=page[-1].label if len(labels) > limit else None)
