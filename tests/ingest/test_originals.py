"""Pictures are found again in the files that they came from, unchanged, or not at all."""

import io
from pathlib import Path

import pytest
from PIL import Image

from rag import pictures
from rag.errors import UnreadableFile
from rag.ingest.media import JPEG, MAIL, MARKDOWN, PDF, PNG, TIFF
from rag.ingest.options import ParseOptions, ReadOptions
from rag.ingest.originals import draw_page, open_picture
from rag.ingest.parse import Parsed, ReadTask, parse
from rag.ingest.pdf_pictures import digest_of
from tests.ingest.drawn import encoded, pdf_of, picture, show, write
from tests.ingest.files import mail, pdf_with

OPTIONS = ParseOptions(tokenizer_file=None, max_tokens=100, max_file_mb=64, read=ReadOptions(ocr=False))
PHOTO = encoded(picture(), "JPEG")
REPORT = pdf_of(lambda canvas: show(canvas, picture(), 72, 500), lambda canvas: write(canvas, ["Second."], 72, 700))


def parsed(path: Path, media_type: str, data: bytes) -> Parsed:
    path.write_bytes(data)
    return parse(ReadTask(str(path), media_type, str(path.parent)), OPTIONS)


def test_a_picture_file_gives_its_own_bytes(tmp_path: Path) -> None:
    document = parsed(tmp_path / "a.jpg", JPEG, PHOTO).document
    assert open_picture(document, 1) == PHOTO
    with pytest.raises(UnreadableFile, match="it has no picture 2"):
        open_picture(document, 2)


def test_a_later_frame_is_a_png(tmp_path: Path) -> None:
    frames = [picture(seed=seed) for seed in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    document = parsed(tmp_path / "a.tif", TIFF, buffer.getvalue()).document
    assert open_picture(document, 1) == buffer.getvalue()
    for number in (2, 3):
        shown = Image.open(io.BytesIO(open_picture(document, number)))
        assert (shown.format, shown.tobytes()) == ("PNG", frames[number - 1].tobytes())


def test_a_figure_is_drawn_again(tmp_path: Path) -> None:
    document = parsed(tmp_path / "a.pdf", PDF, REPORT).document
    assert digest_of(Image.open(io.BytesIO(open_picture(document, 1)))) == document.pictures[0].digest


def test_a_shown_file_gives_its_own_bytes_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encoded(picture()))
    document = parsed(tmp_path / "note.md", MARKDOWN, b"![A](a.png)").document
    data = open_picture(document, 1)
    assert (data, pictures.digest(data)) == (file.read_bytes(), document.pictures[0].digest)
    (tmp_path / "note.md").unlink()
    assert open_picture(document, 1) == data  # the note itself is not needed
    file.write_bytes(encoded(picture(seed=2)))
    with pytest.raises(UnreadableFile, match="it has changed since it was added; add it again"):
        open_picture(document, 1)
    file.unlink()
    with pytest.raises(UnreadableFile, match="vanished"):
        open_picture(document, 1)


@pytest.mark.parametrize(("name", "media_type", "data"), [("a.jpg", JPEG, PHOTO), ("a.pdf", PDF, REPORT)])
def test_a_changed_or_lost_file_is_refused(tmp_path: Path, name: str, media_type: str, data: bytes) -> None:
    document = parsed(tmp_path / name, media_type, data).document
    (tmp_path / name).write_bytes(data + b" ")
    with pytest.raises(UnreadableFile, match="it has changed since it was added"):
        open_picture(document, 1)
    (tmp_path / name).unlink()
    with pytest.raises(UnreadableFile, match="vanished"):
        open_picture(document, 1)


def test_pictures_inside_mails_inside_mails_are_found(tmp_path: Path) -> None:
    inner = mail("inner")
    inner.add_attachment(PHOTO, "image", "jpeg", filename="photo.jpg")
    inner.add_attachment(
        pdf_with(REPORT, deep_dot_png=encoded(picture(seed=5))), "application", "pdf", filename="r.pdf"
    )
    outer = mail("outer")
    outer.add_attachment(inner)
    found = parsed(tmp_path / "tea.eml", MAIL, outer.as_bytes())
    photo, report = found.attachments[0].attachments
    [deep] = report.attachments
    assert open_picture(photo.document, 1) == PHOTO
    assert open_picture(deep.document, 1) == encoded(picture(seed=5))
    figure = Image.open(io.BytesIO(open_picture(report.document, 1)))
    assert digest_of(figure) == report.document.pictures[0].digest
    (tmp_path / "tea.eml").unlink()
    with pytest.raises(UnreadableFile, match="is gone"):
        open_picture(photo.document, 1)


def test_the_original_may_be_given(tmp_path: Path) -> None:
    from rag.records import Source

    document = parsed(tmp_path / "a.png", PNG, encoded(picture())).document
    source = Source(document.path, PNG, (tmp_path / "a.png").read_bytes())
    (tmp_path / "a.png").unlink()
    assert open_picture(document, 1, source) == source.data


def test_a_page_is_drawn_at_any_size(tmp_path: Path) -> None:
    document = parsed(tmp_path / "a.pdf", PDF, REPORT).document
    image = draw_page(document, 1, 842)
    assert (image.size, image.mode) == (pytest.approx((595, 842), abs=1), "RGB")
    assert max(draw_page(document, 2, 200).size) == 200
    shown = image.crop((72, 842 - 650, 272, 842 - 500)).resize((40, 30))
    assert shown.getpixel((20, 15)) != (255, 255, 255)
    for page in (0, 3, -1):
        with pytest.raises(UnreadableFile, match=f"it has no page {page}"):
            draw_page(document, page, 100)


def test_a_page_of_what_is_no_pdf_is_refused(tmp_path: Path) -> None:
    document = parsed(tmp_path / "a.jpg", JPEG, PHOTO).document
    with pytest.raises(UnreadableFile, match="not a PDF"):
        draw_page(document, 1, 100)
