"""The page that tells programmers what the API offers, drawn from its OpenAPI document. It loads nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response

from rag.api.app import OPENAPI
from ui.html import Html, join, tag
from ui.source_page import page

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REF = "#/components/schemas/"
_BOUNDS = {"minimum": "at least", "maximum": "at most"}
_Schema = Mapping[str, Any]


def make_api_page(api: FastAPI) -> APIRouter:
    """The route of the page for that API."""
    routes = APIRouter()

    @routes.get("/api")
    def show() -> Response:
        return HTMLResponse(render_api(api.openapi()), headers={"Content-Security-Policy": _POLICY})

    return routes


def render_api(document: _Schema) -> Html:
    """The whole page for an OpenAPI document."""
    schemas = document.get("components", {}).get("schemas", {})
    sections = [
        _operation(method, path, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    head = tag(
        "header",
        tag("h1", "The API of this library"),
        *_paragraphs(document["info"].get("description", "")),
        tag("p", tag("a", "The OpenAPI document", href=OPENAPI, class_="plain"), class_="actions"),
    )
    return page("API", tag("main", tag("article", head, *sections, class_="document")))


def _operation(method: str, path: str, operation: _Schema, schemas: _Schema) -> Html:
    fields = [_row(p["name"], p["schema"], p.get("required"), p.get("description", "")) for p in _parameters(operation)]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    fields += list(_body_rows(_resolved(body, schemas)))
    return tag(
        "section",
        tag("h2", tag("code", f"{method.upper()} {path}")),
        tag("p", tag("strong", operation.get("summary", ""))),
        *_paragraphs(operation.get("description", "")),
        tag("dl", *fields, class_="fields") if fields else None,
    )


def _parameters(operation: _Schema) -> list[_Schema]:
    return list(operation.get("parameters", ()))


def _body_rows(schema: _Schema) -> Iterator[Html]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield _row(name, field, name in required, field.get("description", ""))


def _row(name: str, schema: _Schema, required: object, description: str) -> Html:
    told = [_type(schema), "required" if required else _default(schema), description]
    return join([tag("dt", tag("code", name)), tag("dd", _coded("; ".join(filter(None, told))))])


def _default(schema: _Schema) -> str:
    default = schema.get("default")
    return "" if default in (None, "") else f"default {default!r}"


def _type(schema: _Schema) -> str:
    """`string`, `integer at least 1 and at most 1000`, `"text" or "image"`, `list of ChatMessage`."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "anyOf" in schema:
        kinds = (_type(each) for each in schema["anyOf"] if each.get("type") != "null")
        return " or ".join(kinds)
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [f"{words} {int(schema[key])}" for key, words in _BOUNDS.items() if key in schema]
    return " ".join([schema.get("type", "anything"), " and ".join(bounds)]).strip()


def _resolved(schema: _Schema, schemas: _Schema) -> _Schema:
    found: _Schema = schemas.get(str(schema.get("$ref", "")).removeprefix(_REF), schema)
    return found


def _paragraphs(text: str) -> list[Html]:
    return [tag("p", _coded(paragraph)) for paragraph in text.split("\n\n") if paragraph]


def _coded(text: str) -> Html:
    """What stands between backticks as code."""
    return join(tag("code", part) if n % 2 else part for n, part in enumerate(text.split("`")))
