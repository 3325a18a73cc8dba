"""`/v1`: chat completions and models as the OpenAI API has them, with the sources in a field of our own."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from rag.api.chat_forms import MODEL, ChatRequest, Reply, model_object
from rag.api.problems import Json, OpenAIProblemBody, json_text, problem, problem_content, status_of
from rag.api.service import Event, Finished, Service
from rag.errors import RagError
from rag.records import Delta, Retrieved

_END = "data: [DONE]\n\n"


def make_chat(service: Service) -> APIRouter:
    """The routes of `/v1` for one library."""
    routes = APIRouter(prefix="/v1", tags=["chat"], responses={"4XX": {"model": OpenAIProblemBody}})
    most = service.library.settings.max_file_mb << 20

    @routes.post("/chat/completions", summary="Ask the library", response_class=Json)
    async def complete(body: ChatRequest, request: Request) -> Response:
        """An answer from the library's documents, whole or streamed as server-sent events.

        `commonplace`, in the whole answer or in the last chunk that has a choice, is what `rag ask --json` prints:
        citations, passages, whether it abstained, the model, and the time of each stage. There the answer has the
        marks of all its citations; some are only known at the end, when the streamed words are on their way.
        """
        if body.model != MODEL:
            words = f"there is no model {body.model!r}; ask for {MODEL!r}"
            return problem(request.url.path, 404, words, code="model_not_found", param="model")
        asked = body.asked(most)
        if not body.stream:
            return Json(Reply().whole(await service.answer(asked)))
        events = service.events(asked)
        first = await anext(events)  # whatever is wrong with the question is told with its status, before the stream
        usage = body.stream_options is not None and body.stream_options.include_usage
        pieces = _stream(first, events, usage=usage)
        return StreamingResponse(pieces, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @routes.get("/models", summary="The models there are: one", response_class=Json)
    async def models() -> Response:
        return Json({"object": "list", "data": [model_object()]})

    @routes.get("/models/{model}", summary="That model", response_class=Json)
    async def one_model(model: str, request: Request) -> Response:
        if model != MODEL:
            return problem(request.url.path, 404, f"there is no model {model!r}", code="model_not_found", param="model")
        return Json(model_object())

    return routes


async def _stream(first: Event, events: AsyncGenerator[Event], *, usage: bool) -> AsyncIterator[str]:
    """Server-sent events. An error on the way is told as one more event, which ends the stream."""
    reply = Reply()
    async with aclosing(events):
        yield _line(reply.piece("", first=True))
        try:
            event = first
            while not isinstance(event, Finished):
                match event:
                    case Delta(text):
                        yield _line(reply.piece(text))
                    case Retrieved():
                        pass
                event = await anext(events)
        except RagError as error:
            yield _line(problem_content("openai", status_of(error), str(error)))
            return
        yield _line(reply.end(event))
        if usage:
            yield _line(reply.usage(event))
        yield _END


def _line(content: dict[str, object]) -> str:
    return f"data: {json_text(content)}\n\n"
