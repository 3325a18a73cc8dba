"""`/api`: searches and documents as JSON, the same as the command line prints with `--json`."""

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from rag import json_forms
from rag.api.forms import PERSON, DocumentForm, DocumentsForm, SearchForm
from rag.api.pictures import picture_of
from rag.api.problems import Json, ProblemBody
from rag.api.service import QUESTION, Service, audience_of, filter_of
from rag.records import Document, Kind, Modality

_PAGE = 100  # documents in one answer
_TEXT = 100_000  # characters of a document in one answer
_MOST_TEXT = 1_000_000

QueryText = Annotated[str, Field(max_length=QUESTION, description="what is looked for, in words")]
Most = Annotated[int, Field(ge=1, le=1000, description="how many hits")]
Where = Annotated[str, Field(max_length=1000, description="a filter, as after `rag search --where`")]
Only = Annotated[Modality | None, Field(description="only passages of text, or only pictures")]
Person = Annotated[bool, Field(description=PERSON)]
Like = Annotated[str, Field(max_length=64, description="the chunk of a hit that is a picture, or the id of a document")]


class SearchRequest(BaseModel):
    """A search by words, by a picture, by likeness to a picture of the library, or by several of them."""

    query: QueryText = ""
    k: Most = 10
    where: Where = ""
    kind: Only = None
    like: Like = ""
    person: Person = False
    picture: str | None = Field(None, description="the picture that is searched with: a data: URL, or base64")


def make_reading(service: Service) -> APIRouter:
    """The routes of `/api` for one library. They only read."""
    routes = APIRouter(prefix="/api", tags=["library"], responses={"4XX": {"model": ProblemBody}})
    most = service.library.settings.max_file_mb << 20

    @routes.post("/search", summary="Search", response_class=Json, responses={200: {"model": SearchForm}})
    def search(body: SearchRequest) -> Response:
        """The one ranked list of passages and pictures."""
        picture = None if body.picture is None else picture_of(body.picture, most)
        where = filter_of(body.where, body.kind)
        audience = audience_of(body.person)
        result = service.search(body.query, k=body.k, picture=picture, like=body.like, where=where, audience=audience)
        return Json(json_forms.search_json(result))

    @routes.get("/search", summary="Search by words", response_class=Json, responses={200: {"model": SearchForm}})
    def search_words(
        query: Annotated[QueryText, Query()],
        k: Annotated[Most, Query()] = 10,
        where: Annotated[Where, Query()] = "",
        kind: Annotated[Only, Query()] = None,
        person: Annotated[Person, Query()] = False,
    ) -> Response:
        """The same for words alone."""
        filtered, audience = filter_of(where, kind), audience_of(person)
        return Json(json_forms.search_json(service.search(query, k=k, where=filtered, audience=audience)))

    @routes.get("/documents", summary="The documents", response_class=Json, responses={200: {"model": DocumentsForm}})
    def documents(
        text: Annotated[str, Query(max_length=1000, description="only titles and paths that contain this")] = "",
        kind: Annotated[Kind | None, Query(description="only this kind")] = None,
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = _PAGE,
    ) -> Response:
        """Documents by path, `limit` of them from `offset` on."""
        found = service.documents(text, kind)
        page = [dataclasses.asdict(info) for info in found[offset : offset + limit]]
        return Json({"total": len(found), "documents": page})

    @routes.get(
        "/documents/{document}", summary="One document", response_class=Json, responses={200: {"model": DocumentForm}}
    )
    def document(
        document: str,
        start: Annotated[int, Query(ge=0, le=10**9, description="the first character of the text")] = 0,
        length: Annotated[int, Query(ge=0, le=_MOST_TEXT, description="how many of them")] = _TEXT,
    ) -> Response:
        """A document as it was read, by its id: facts, pages, pictures, and a part of its text."""
        return Json(_windowed(service.document(document), start, length))

    return routes


def _windowed(document: Document, start: int, length: int) -> dict[str, object]:
    form = json_forms.document_json(document)
    size = len(document.text)
    begin, end = min(start, size), min(start + length, size)
    return {**form, "text": document.text[begin:end], "start": begin, "end": end, "size": size}
