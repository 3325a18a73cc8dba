"""`/api/feedback`: what a person did with a list that a program showed them."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from rag.api.problems import Json, ProblemBody
from rag.api.service import Service

Done = Literal["up", "down", "pin", "this", "wrong", "open", "copy"]


class FeedbackRequest(BaseModel):
    """What was done: a thumb for an answer (`up`, `down`), something with one of its sources, or a `copy` of either."""

    shown: str = Field(max_length=64, description="`shown` of a search or an answer that a person saw")
    act: Done = Field(description="`this`: it was the source looked for; `wrong`: it was not; `pin`: never lose it")
    chunk: str = Field("", max_length=64, description="`chunk` of the source; left out for an answer as a whole")
    taken_back: bool = Field(False, description="it was done before, and does not count any more")


class MarksForm(BaseModel):
    """What stands now: the thumb of the answer, and what is said of each source for the words that were asked."""

    thumb: Literal["up", "down"] | None
    chunks: dict[str, list[str]]


def make_feedback(service: Service) -> APIRouter:
    """The route for one library. It adds to the log of feedback, and changes nothing else."""
    routes = APIRouter(prefix="/api", tags=["feedback"], responses={"4XX": {"model": ProblemBody}})
    log = service.library.feedback

    @routes.post("/feedback", summary="Send feedback", response_class=Json, responses={200: {"model": MarksForm}})
    def feedback(body: FeedbackRequest) -> Response:
        """Log what was done with a list or one of its sources."""
        log.choose(body.shown, body.act, body.chunk, taken_back=body.taken_back)
        marks = log.marks(body.shown)
        return Json({"thumb": marks.thumb, "chunks": {each: sorted(acts) for each, acts in marks.chunks.items()}})

    return routes
