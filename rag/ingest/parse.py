"""Files to documents with their chunks and words, in other processes: one bad file costs one failure."""

import math
import multiprocessing
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate, islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rag.errors import UnreadableFile
from rag.ingest import media
from rag.ingest.analyse import UNKNOWN, analyse, analyse_picture, detect_language
from rag.ingest.chunk import Tokenize, chunk, embedding_text
from rag.ingest.clock import limited_to
from rag.ingest.files import load
from rag.ingest.options import ParseOptions
from rag.records import Chunk, Document, Failure, Picture, Source
from rag.text import one_line

if TYPE_CHECKING:
    from pebble import ProcessPool

# The readers, pebble and tokenizers are imported where they are used: searching needs none of them, and they take
# a second or two.

_DEEPEST_ATTACHMENT = 3
_MOST_ATTACHMENTS = 200  # in one file, at all depths together
_FEW_BYTES = 1_000_000  # of text in all are read here: it takes less time than two processes take to start
_PIXEL_SHARE = 0.7  # of the time for a file after which no more pixels are read: a slow page may take the rest
_NAMED = 5  # attachments that a warning names
_SHOWS_PICTURES = re.compile(rb"!\[|<img\b", re.IGNORECASE)
# Signatures and the like, which nobody wants to be told of.
_PASSED_OVER = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
    }
)
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A file to read: its absolute path and what `scan` took it for.

    `root` is the folder that was added, in which the pictures that it shows may lie.
    """

    path: str
    media_type: str
    root: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document ready to be embedded.

    `words[i]` are the BM25 terms of `chunks[i]`. The document's own `attachments` are empty: those that a reader
    takes are here, parsed as well, and those that could not be read are in `failed`.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    words: tuple[str, ...]
    attachments: tuple["Parsed", ...] = ()
    failed: tuple[Failure, ...] = ()


def parse_all(
    tasks: Sequence[ReadTask],
    options: ParseOptions,
    workers: int,
    timeout: float,
) -> Generator[tuple[ReadTask, Parsed | UnreadableFile], None, None]:
    """Read files in `workers` processes (0: one per core, at most 8), each for at most `timeout` seconds.

    Yields in the order in which they are done. A file that crashes its process, exhausts memory or takes too long
    gives UnreadableFile, and the rest goes on. No more than a few documents are held at a time, however slowly they
    are taken. Closing the iterator ends the processes. Reading pixels stops in time, so that a long scan is kept in
    part.
    """
    options = replace(options, pixel_seconds=min(options.pixel_seconds, timeout * _PIXEL_SHARE))
    if _are_light(tasks):
        for task in tasks:
            yield task, _outcome(partial(parse, task, options), task, timeout)
        return

    from pebble import ProcessPool

    count = min(workers or min(os.cpu_count() or 1, 8), len(tasks))
    # LanceDB's threads do not survive a fork, so each process starts afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPool(
        max_workers=count, context=context, initializer=_warm_up, initargs=(options.tokenizer_file,)
    ) as pool:
        try:
            yield from _in_pool(pool, tasks, options, count * 2, timeout)
        except BaseException:  # GeneratorExit too: whoever takes the documents has stopped, so the rest is not wanted
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def parse(task: ReadTask, options: ParseOptions) -> Parsed:
    """Read, cut and analyse one file, with what is attached to it. What a reader process runs.

    Raises:
        UnreadableFile: and nothing else.
    """
    try:
        with limited_to(options.pixel_seconds):
            source = load(task.path, task.media_type, options.max_file_mb)
            return parse_source(source, options, task.root)
    except UnreadableFile:
        raise
    except MemoryError as exc:
        raise UnreadableFile(task.path, "it does not fit in memory") from exc
    except Exception as exc:
        detail = one_line(str(exc), 200)
        raise UnreadableFile(task.path, f"it could not be taken in: {type(exc).__name__}: {detail}") from exc


def parse_source(source: Source, options: ParseOptions, root: str = "") -> Parsed:
    """The document in `source` with its chunks and words, and its attachments likewise, three levels deep.

    `root` is the folder in which the pictures that a note shows may lie; "": it may show none.

    Raises:
        UnreadableFile: `source` itself cannot be read; an attachment that cannot is in `failed`.
    """
    return _Parser(options, root, _MOST_ATTACHMENTS).parse(source, _DEEPEST_ATTACHMENT)


class _Parser:
    """Parses one file; `left` counts down the attachments that may still be taken."""

    def __init__(self, options: ParseOptions, root: str, left: int) -> None:
        self.options = options
        self.tokenize = load_tokenizer(options.tokenizer_file)
        self.root = root
        self.left = left

    def parse(self, source: Source, depth: int) -> Parsed:
        from rag.ingest.readers import can_read, read
        from rag.ingest.shown import with_shown_pictures

        document = read(source, self.options.read)
        if document.kind in ("note", "web"):
            # What lies inside a mail has no folder of its own.
            root = "" if source.parent else self.root
            document = with_shown_pictures(document, root, self.options.read, self.options.max_file_mb)
        chunks = tuple(chunk(document, self.tokenize, self.options.max_tokens))
        inside: list[Parsed] = []
        failed: list[Failure] = []
        unread = [attached for attached in document.attachments if not can_read(attached)]
        document = replace(document, warnings=(*document.warnings, *_kinds_not_read(unread)))
        for attached in filter(can_read, document.attachments):
            if depth == 0 or self.left == 0:
                failed.append(Failure(attached.path, "it is one of too many attachments, or too deep inside others"))
                continue
            self.left -= 1
            try:
                inside.append(self.parse(attached, depth - 1))
            except UnreadableFile as exc:
                failed.append(Failure(attached.path, exc.reason))
        return Parsed(replace(document, attachments=()), chunks, _words(document, chunks), tuple(inside), tuple(failed))


def _kinds_not_read(attachments: Sequence[Source]) -> tuple[str, ...]:
    names = [attached.name for attached in attachments if attached.media_type not in _PASSED_OVER]
    if not names:
        return ()
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    kinds = "this kind is" if len(names) == 1 else "these kinds are"
    return (f"{', '.join(names[:_NAMED])}{more}: {kinds} not read",)


def _words(document: Document, chunks: Sequence[Chunk]) -> tuple[str, ...]:
    """Each chunk's terms: a picture answers to all the words in it, the first chunk also to what names the file."""
    pictures = {picture.number: picture for picture in document.pictures}
    texts = [_searched(document, each, pictures.get(each.picture or 0)) for each in chunks]
    names = " ".join((PurePath(document.path).stem, *document.tags, *_named(document)))
    if texts:
        texts[0] = f"{names}\n{texts[0]}"
    return tuple(_terms(document, each, text) for each, text in zip(chunks, texts, strict=True))


def _terms(document: Document, chunk: Chunk, text: str) -> str:
    language = _language(document, chunk, text)
    return analyse_picture(text, language) if chunk.modality == "image" else analyse(text, language)


def _language(document: Document, chunk: Chunk, text: str) -> str:
    """A document that is a photo has no text to tell its language; what is written about the photo may have one."""
    is_told = document.language != UNKNOWN or chunk.modality == "text"
    return document.language if is_told else detect_language(text)


def _searched(document: Document, chunk: Chunk, picture: Picture | None) -> str:
    """What a chunk is found by: for a picture all its words, and the name of its file where a note shows it."""
    if picture is None or chunk.modality == "text":
        return embedding_text(chunk)
    words = embedding_text(replace(chunk, text=document.text[picture.start : picture.end]))
    return f"{PurePath(picture.path).stem}\n{words}" if picture.path else words


def _named(document: Document) -> Iterator[str]:
    """Aliases of a note; of a photo its camera and the month and year in which it was taken."""
    fields = dict(document.fields)
    yield fields.get("aliases", "")
    if document.kind == "image":
        yield fields.get("Camera", "")
        yield f"{document.date:%B %Y}" if document.date else ""


@cache
def load_tokenizer(file: str | None) -> Tokenize:
    """The tokenizer in `file`, a `tokenizer.json`; without one, words and signs count as tokens."""
    if file is None:
        return lambda text: [match.span() for match in _WORD.finditer(text)]
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).offsets


def _warm_up(tokenizer_file: str | None) -> None:
    """Loads what takes long before the time of the first file is counted."""
    from rag.ingest import readers  # noqa: F401

    load_tokenizer(tokenizer_file)
    detect_language("The model of languages is loaded for the first text.")


def _are_light(tasks: Sequence[ReadTask]) -> bool:
    """Whether reading them here is safe and quick: little text without pictures, which no foreign code parses."""
    sizes = accumulate(map(_light_bytes, tasks))
    return all(size <= _FEW_BYTES for size in sizes)  # stops at the first that is too much


def _light_bytes(task: ReadTask) -> float:
    """The size of a text without pictures; infinity for any other file."""
    path = Path(task.path)
    if task.media_type not in (media.MARKDOWN, media.PLAIN):
        return math.inf
    try:
        size = path.stat().st_size
        if task.media_type == media.MARKDOWN and size <= _FEW_BYTES and _SHOWS_PICTURES.search(path.read_bytes()):
            return math.inf
    except OSError:
        return 0  # it fails at once
    return size


def _in_pool(
    pool: "ProcessPool", tasks: Sequence[ReadTask], options: ParseOptions, most: int, timeout: float
) -> Iterator[tuple[ReadTask, Parsed | UnreadableFile]]:
    """Results as they come, with at most `most` files on their way."""
    remaining = iter(tasks)
    waiting: dict[Future[Parsed], ReadTask] = {}
    while True:
        for task in islice(remaining, most - len(waiting)):
            waiting[pool.schedule(parse, args=(task, options), timeout=timeout)] = task
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            task = waiting.pop(future)
            yield task, _outcome(future.result, task, timeout)


def _outcome(result: Callable[[], Parsed], task: ReadTask, timeout: float) -> Parsed | UnreadableFile:
    from pebble import ProcessExpired

    try:
        return result()
    except UnreadableFile as exc:
        return exc
    except TimeoutError:
        return UnreadableFile(
            task.path, f"reading it took more than {timeout:g} s; set RAG_READ_SECONDS higher to wait longer"
        )
    except ProcessExpired:
        return UnreadableFile(task.path, "it crashed its reader: it is damaged, or needs more memory than there is")
