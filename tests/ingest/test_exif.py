"""What is written in pictures beside their pixels, in all its dialects, broken ones included."""

import io
import random
import struct
from datetime import UTC, datetime
from typing import Any

import pillow_heif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from rag import pictures
from rag.ingest.exif import Facts, drawing_facts, facts

pillow_heif.register_heif_opener()  # for writing
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, of what is broken

DESCRIPTION, MAKE, MODEL, MODIFIED, EXIF, GPS = 0x010E, 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
TITLE, COMMENT, KEYWORDS = 0x9C9B, 0x9C9C, 0x9C9E
TAKEN, DIGITIZED, OFFSET_TAKEN = 0x9003, 0x9004, 0x9011
EXPOSURE, APERTURE, ISO, FOCAL, FOCAL_35, LENS = 0x829A, 0x829D, 0x8827, 0x920A, 0xA405, 0xA434
PARIS = {1: "N", 2: (48.0, 51.0, 30.24), 3: "E", 4: (2.0, 17.0, 40.2)}  # 48 + 51/60 + 30.24/3600, 2 + 17/60 + 40.2/3600


def picture(form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, form, **options)
    return buffer.getvalue()


def exif(
    tags: dict[int, Any] | None = None, details: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    written = Image.Exif()
    written.update(tags or {})
    written.get_ifd(EXIF).update(details or {})
    written.get_ifd(GPS).update(gps or {})
    return written.tobytes()


def read(data: bytes, location: bool = True) -> Facts:
    return facts(pictures.open_header(data), location)


def read_exif(**groups: Any) -> Facts:
    return read(picture(exif=exif(**groups)))


def fields(found: Facts) -> dict[str, str]:
    return dict(found.fields)


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def iptc(*records: tuple[int, bytes]) -> bytes:
    """An APP13 segment of a JPEG with these datasets of record 2."""
    datasets = b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text)) + text for number, text in records)
    block = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(datasets)) + datasets
    return b"\xff\xed" + struct.pack(">H", len(block) + 3) + block + b"\0"


def xmp(inside: str, attributes: str = "") -> bytes:
    return f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
        <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
        xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
        xmlns:exif="http://ns.adobe.com/exif/1.0/" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>
        <?xpacket end="w"?>""".encode()


# --- EXIF --------------------------------------------------------------------------------------------------------


def test_nothing_is_written() -> None:
    assert read(picture()) == Facts()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_every_format_carries_exif(form: str) -> None:
    written = exif(
        {MAKE: "Canon", MODEL: "EOS R5", DESCRIPTION: "A cat at the window"},
        {TAKEN: "2023:07:14 18:05:09", OFFSET_TAKEN: "+02:00"},
        PARIS,
    )
    assert read(picture(form, exif=written)) == Facts(
        caption="A cat at the window",
        date=datetime(2023, 7, 14, 16, 5, 9, tzinfo=UTC),
        fields=(("Camera", "Canon EOS R5"), ("Place", "48.8584, 2.2945")),
    )


@pytest.mark.parametrize(
    ("tags", "camera"),
    [
        ({MAKE: "NIKON CORPORATION", MODEL: "NIKON D90"}, "NIKON D90"),
        ({MAKE: "Apple", MODEL: "iPhone 12"}, "Apple iPhone 12"),
        ({MODEL: "  X100V \0 junk"}, "X100V"),
        ({MAKE: "Canon"}, "Canon"),
        ({MAKE: "", MODEL: "Kamera 7 für Ö".encode()}, "Kamera 7 für Ö"),
    ],
)
def test_the_maker_is_named_once(tags: dict[int, Any], camera: str) -> None:
    assert fields(read_exif(tags=tags))["Camera"] == camera


@pytest.mark.parametrize(
    ("details", "exposure"),
    [
        ({EXPOSURE: IFDRational(1, 125), APERTURE: 2.8, ISO: 100, FOCAL: 26.0}, "1/125 s, f/2.8, ISO 100, 26 mm"),
        ({EXPOSURE: IFDRational(10, 2500)}, "1/250 s"),
        ({EXPOSURE: 0.5}, "0.5 s"),
        ({EXPOSURE: 30.0}, "30 s"),
        ({FOCAL: 4.25, FOCAL_35: 26}, "26 mm"),
        ({ISO: (200, 0)}, "ISO 200"),
    ],
)
def test_the_exposure_in_human_form(details: dict[int, Any], exposure: str) -> None:
    assert fields(read_exif(details=details))["Exposure"] == exposure


def test_what_the_camera_does_not_know_is_left_out() -> None:
    unknown = {EXPOSURE: IFDRational(0, 0), APERTURE: IFDRational(5, 0), ISO: 0, FOCAL: 0.0, LENS: ""}
    assert read_exif(details=unknown) == Facts()


def test_the_lens() -> None:
    assert fields(read_exif(details={LENS: "AF-S 35mm f/1.8G"}))["Lens"] == "AF-S 35mm f/1.8G"


@pytest.mark.parametrize(
    ("tags", "details", "date"),
    [
        ({}, {TAKEN: "2023:07:14 18:05:09"}, datetime(2023, 7, 14, 18, 5, 9)),
        ({MODIFIED: "2024:01:01 00:00:00"}, {TAKEN: "2023:07:14 18:05:09"}, datetime(2023, 7, 14, 18, 5, 9)),
        ({MODIFIED: "2024:01:01 00:00:00"}, {TAKEN: "    :  :     :  :  "}, datetime(2024, 1, 1)),
        ({}, {DIGITIZED: "1999-12-31 23:59:59"}, datetime(1999, 12, 31, 23, 59, 59)),
        ({}, {TAKEN: "2023:07:14 18:05:09", OFFSET_TAKEN: "nonsense"}, datetime(2023, 7, 14, 18, 5, 9)),
        ({}, {TAKEN: "0000:00:00 00:00:00"}, None),
        ({}, {TAKEN: "2023:13:41 18:05:09"}, None),
        ({}, {TAKEN: "yesterday"}, None),
    ],
)
def test_the_date(tags: dict[int, Any], details: dict[int, Any], date: datetime | None) -> None:
    assert read_exif(tags=tags, details=details).date == date


@pytest.mark.parametrize(
    ("gps", "place"),
    [
        (PARIS, "48.8584, 2.2945"),
        ({**PARIS, 1: "S", 3: "W"}, "-48.8584, -2.2945"),
        ({1: "N", 2: (48.5, 0.0, 0.0), 3: "E", 4: (2.25, 0.0, 0.0)}, "48.5000, 2.2500"),
        ({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (2.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (IFDRational(0, 0),) * 3, 3: "E", 4: (2.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (48.0, 0.0, 0.0)}, None),
    ],
)
def test_the_place(gps: dict[int, Any], place: str | None) -> None:
    assert fields(read_exif(gps=gps)).get("Place") == place


def test_the_place_can_be_left_out() -> None:
    data = picture(exif=exif({MODEL: "X100V"}, gps=PARIS))
    assert read(data, location=False).fields == (("Camera", "X100V"),)


# --- captions and keywords ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "caption"),
    [
        ({DESCRIPTION: "Kätzchen am Fenster".encode()}, "Kätzchen am Fenster"),
        ({DESCRIPTION: "Kätzchen".encode("latin-1")}, "Kätzchen"),
        ({DESCRIPTION: "two\nlines\t here "}, "two lines here"),
        ({COMMENT: wide("Größe: 42 €")}, "Größe: 42 €"),
        ({DESCRIPTION: "OLYMPUS DIGITAL CAMERA         ", COMMENT: wide("The old pier")}, "The old pier"),
        ({DESCRIPTION: "SONY DSC"}, ""),
        ({DESCRIPTION: "DCIM\\100MEDIA\\DJI_0042.JPG"}, ""),
        ({DESCRIPTION: "Created with GIMP"}, ""),
        ({DESCRIPTION: "   "}, ""),
        ({COMMENT: b"\xff"}, ""),
        ({DESCRIPTION: "Camera obscura in the museum"}, "Camera obscura in the museum"),
    ],
)
def test_the_caption(tags: dict[int, Any], caption: str) -> None:
    assert read_exif(tags=tags).caption == caption


def test_a_caption_is_cut() -> None:
    assert len(read_exif(tags={DESCRIPTION: "word " * 5000}).caption) <= 2000


def test_title_and_keywords_by_microsoft() -> None:
    found = read_exif(tags={TITLE: wide("The old pier"), KEYWORDS: wide("sea; Leith ;sea;")})
    assert (found.title, found.tags) == ("The old pier", ("sea", "Leith"))


def test_iptc() -> None:
    plain = picture()
    segment = iptc((5, b"The old pier"), (25, b"sea"), (25, "Küste".encode()), (120, b"At low tide"))
    assert read(plain[:2] + segment + plain[2:]) == Facts("The old pier", "At low tide", ("sea", "Küste"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp(form: str) -> None:
    packet = xmp(
        '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">The old pier</rdf:li></rdf:Alt></dc:title>'
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">At low tide &amp; alone</rdf:li>'
        '<rdf:li xml:lang="de">Bei Ebbe</rdf:li></rdf:Alt></dc:description>'
        "<dc:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li>Leith</rdf:li></rdf:Bag></dc:subject>",
        'photoshop:DateCreated="2021-05-06T07:08:09+01:00"',
    )
    if form == "PNG":
        chunk = PngInfo()
        chunk.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = picture(form, pnginfo=chunk)
    else:
        data = picture(form, **({"tiffinfo": {700: packet}} if form == "TIFF" else {"xmp": packet}))
    assert read(data) == Facts(
        "The old pier", "At low tide & alone", ("sea", "Leith"), datetime(2021, 5, 6, 6, 8, 9, tzinfo=UTC)
    )


def test_xmp_loads_no_entity(tmp_path: Any) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>'
    packet = doctype.encode() + xmp("<dc:title>&e;</dc:title>").split(b"?>", 1)[1].rsplit(b"<?", 1)[0]
    assert "SECRET" not in str(read(picture(xmp=packet)))


@pytest.mark.parametrize("packet", [b"", b"<x", b"\xff\xfe\0", b"<a>" * 10_000, b"\0" * 100])
def test_broken_xmp_is_left_out(packet: bytes) -> None:
    assert read(picture(xmp=packet)) == Facts()


def test_the_text_chunks_of_png() -> None:
    chunks = PngInfo()
    chunks.add_text("Title", "The old pier")
    chunks.add_itxt("Description", "Ebbe — low tide")
    chunks.add_text("Creation Time", "2021:05:06 07:08:09")
    chunks.add_text("Software", "A camera")
    found = read(picture("PNG", pnginfo=chunks))
    assert found == Facts("The old pier", "Ebbe — low tide", date=datetime(2021, 5, 6, 7, 8, 9))


def test_the_title_and_description_of_a_drawing() -> None:
    data = b"""<svg xmlns="http://www.w3.org/2000/svg"><title>The old <b>pier</b></title><desc>At low
        tide</desc><g><title>not this one</title></g></svg>"""
    assert drawing_facts(data) == Facts("The old pier", "At low tide")
    assert drawing_facts(b"<svg/>") == drawing_facts(b"<svg") == Facts()


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(200))
def test_broken_exif_raises_nothing(seed: int) -> None:
    dice = random.Random(seed)
    whole = bytearray(
        exif({DESCRIPTION: "A cat", KEYWORDS: wide("a;b")}, {TAKEN: "2023:07:14 18:05:09", EXPOSURE: 0.01}, PARIS)
    )
    for _ in range(dice.choice([1, 5, 40])):
        whole[dice.randrange(6, len(whole))] = dice.randrange(256)
    found = read(picture(exif=bytes(whole[: dice.randrange(8, len(whole) + 1)])))
    for text in (found.title, found.caption, *found.tags, *(value for _, value in found.fields)):
        text.encode("utf-8")
        assert "\0" not in text
