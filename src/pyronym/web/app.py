"""The application that answers HTTP requests: where its pages and paths come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from pyronym.errors import PyroError
from pyronym.server.nameserver import NameServerDaemon
from pyronym.web import docs_page, events, health, history, metrics, names, problems, tree
from pyronym.web.access import Doorman
from pyronym.web.gate import Gate

ROUTERS: Final = (names.router, tree.router, history.router, events.router, health.api, health.router, metrics.router)
"""What there is beside the pages. Each says its paths."""

STATIC: Final = Path(__file__).parent / "static"

DESCRIPTION: Final = (
    "The names of a pyronym name server. Values are JSON. Errors are application/problem+json (RFC 9457), and say what "
    "to do. Names are percent-encoded in paths."
)


class Web:
    """The HTTP side of a name server, as an ASGI application. `tokens` as for Doorman, `names` as for Gate.

    Until it is opened it answers that the name server is starting.
    """

    def __init__(self, tokens: Mapping[str, str] | None, names: Iterable[str]) -> None:
        self.streams = events.Streams()
        self._tokens = tokens
        self._traffic = metrics.Traffic()
        self._behind: ASGIApp = health.starting
        self.app = Gate(self._pass_on, names, self._traffic)

    def open(self, daemon: NameServerDaemon) -> None:
        """Answer for `daemon` from here on."""
        self.doorman = Doorman(daemon, self._tokens)
        self._behind = self._new_app(daemon)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._behind(scope, receive, send)

    def _new_app(self, daemon: NameServerDaemon) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        app.state.doorman = self.doorman
        app.state.streams = self.streams
        app.state.chronicle = daemon.keep_chronicle()
        app.state.registry = metrics.new_registry(daemon, self._traffic)
        app.state.routes = [route for router in ROUTERS for route in router.routes]
        for router in ROUTERS:
            app.include_router(router)
        app.add_exception_handler(HTTPException, problems.of_http)
        app.add_exception_handler(RequestValidationError, problems.of_values)
        for kind in (PyroError, ValueError):
            app.add_exception_handler(kind, problems.of_name_server)
        description = described(app)
        app.add_api_route("/api/v1/openapi.json", lambda: description, include_in_schema=False)
        page = docs_page.page_of(description)
        app.add_api_route("/api/v1/docs", lambda: HTMLResponse(page), include_in_schema=False)
        app.add_api_route("/", lambda: FileResponse(STATIC / "index.html"), include_in_schema=False)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of an application."""
    description = get_openapi(title="pyronym", version=version("pyronym"), description=DESCRIPTION, routes=app.routes)
    schemas = description["components"]["schemas"]
    schemas["ProblemView"] = problems.ProblemView.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which no answer has
        schemas.pop(unused, None)
    return description
