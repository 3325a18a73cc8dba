"""Pictures as programs send them: a data: URL, or the base64 of the file. Nothing is ever fetched for them."""

import base64
import binascii
import re

from rag.errors import InvalidQuery

_DATA = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII)


def picture_of(url: str, most: int) -> bytes:
    """The bytes of the picture in a `data:` URL, or in bare base64.

    Args:
        most: the largest picture, in bytes.

    Raises:
        InvalidQuery: it is an address elsewhere, no base64, empty, or too large.
    """
    if re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE):
        raise InvalidQuery("a picture's address is not fetched; send the picture itself as a data: URL")
    head = _DATA.match(url)
    if url.startswith("data:") and not head:
        raise InvalidQuery("the picture's data: URL is not one of base64; write data:image/png;base64,…")
    try:
        data = base64.b64decode(url[head.end() if head else 0 :], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidQuery("the picture is not base64") from exc
    if not data:
        raise InvalidQuery("the picture is empty")
    if len(data) > most:
        raise InvalidQuery(f"the picture has {len(data)} bytes; {most} are the most that are read")
    return data
