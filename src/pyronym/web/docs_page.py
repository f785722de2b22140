"""The API's own page, made of its OpenAPI description: plain HTML, which loads nothing but a style sheet of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_Table = Mapping[str, Any]


def page_of(description: _Table) -> str:
    """The page for an OpenAPI description."""
    info = description["info"]
    operations = "".join(_operations(description))
    schemas = "".join(_schema(name, schema) for name, schema in description["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/docs.css"></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p><a href="/api/v1/openapi.json">OpenAPI description</a></p>'
        f"<h2>Requests</h2>{operations}<h2>Values</h2>{schemas}</main></body></html>"
    )


def _operations(description: _Table) -> Iterator[str]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield (
                f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>"
                f"<p>{escape(operation.get('description', ''))}</p>{_parameters(operation)}"
                f"{_body(operation)}{_answers(operation)}</section>"
            )


def _parameters(operation: _Table) -> str:
    rows = [
        (f"{found['name']} ({found['in']})", _kind(found.get("schema", {})), found.get("description", ""))
        for found in operation.get("parameters", ())
    ]
    return _table("Parameters", rows)


def _body(operation: _Table) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return _table("Body", [(media_type, _kind(about["schema"]), "") for media_type, about in content.items()])


def _answers(operation: _Table) -> str:
    rows = []
    for status, answer in operation["responses"].items():
        kinds = {_kind(about.get("schema", {})) for about in answer.get("content", {}).values()}
        rows.append((status, ", ".join(sorted(kinds)), answer["description"]))
    return _table("Answers", rows)


def _schema(name: str, schema: _Table) -> str:
    items = schema.get("properties", {}).items()
    table = _table("Items", [(item, _kind(about), about.get("description", "")) for item, about in items])
    words = f"<h3>{escape(name)}</h3><p>{escape(schema.get('description', ''))}</p>"
    return f'<section id="{escape(name)}">{words}{table}</section>'


def _kind(schema: _Table) -> str:
    """The type of a value, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", ""))


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><th><code>{escape(name)}</code></th><td>{escape(kind)}</td><td>{escape(words)}</td></tr>"
        for name, kind, words in rows
    )
    return f"<table><caption>{title}</caption>{body}</table>"
