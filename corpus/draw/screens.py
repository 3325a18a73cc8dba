"""Screenshots, every word in them our own: a chat, a settings dialog, a terminal, a calendar, a booking."""

from draw.ink import Colour, Sheet, gif, png, webp

INK, FAINT, EDGE = "#20242b", "#6b7280", "#d5d9e0"


def chat() -> bytes:
    """A thread with Ruth about borrowing the honey extractor."""
    sheet = Sheet(640, 900, "#efe9df")
    sheet.box(0, 0, 640, 74, "#7a5a1e")
    sheet.oval(46, 37, 22, 22, "#f2c14e")
    sheet.write(46, 37, "RA", 18, "#5b4312", "bold", "mm")
    sheet.write(82, 14, "Ruth Ackerley", 21, "white", "bold")
    sheet.write(82, 42, "last seen today at 19:02", 15, "#f0e2c4")
    sheet.write(320, 100, "Thursday 7 August 2025", 15, FAINT, anchor="mm")
    talk = (
        (True, "18:41", "Supers come off on Saturday. Is the extractor free?"),
        (False, "18:44", "All yours from four o'clock. It is in the old dairy, the key is under the third flowerpot."),
        (True, "18:45", "And the sieves?"),
        (False, "18:47", "In the white bucket inside the drum. Please wash everything with COLD water first, hot melts "
         "the wax into the mesh."),
        (True, "18:52", "Understood. When do you need it back?"),
        (False, "18:58", "Sunday by noon, Gareth has it next. Two jars as rent, lime blossom if there is any!"),
        (True, "19:01", "Two jars it is. Thank you."),
    )  # fmt: skip
    y = 126.0
    for mine, hour, words in talk:
        y = _bubble(sheet, y, mine, hour, words)
    sheet.box(16, 838, 624, 886, "white", radius=24)
    sheet.write(40, 862, "Message", 18, "#9ca3af", anchor="lm")
    return png(sheet.done(), 64)


def _bubble(sheet: Sheet, y: float, mine: bool, hour: str, words: str) -> float:
    left = 200 if mine else 20
    end = Sheet(10, 10).paragraph(0, y + 12, 380, words, 19)
    sheet.box(left, y, left + 420, end + 14, "#dcedc8" if mine else "white", radius=14)
    sheet.paragraph(left + 18, y + 12, 384, words, 19, INK)
    sheet.write(left + 404, end + 8, hour, 13, FAINT, anchor="rd")
    return end + 28


def settings() -> bytes:
    """The dialog of the boiler's app."""
    sheet = Sheet(760, 620, "#cfd6df")
    sheet.box(30, 26, 730, 594, "#f8f9fb", EDGE, 1, 12)
    sheet.box(30, 26, 730, 82, "#1d4e79", radius=12)
    sheet.box(30, 60, 730, 82, "#1d4e79")
    sheet.write(54, 54, "Corvane Home: Larch House", 22, "white", "bold", "lm")
    sheet.write(54, 108, "Hot water and hygiene", 20, "#1d4e79", "bold")
    rows = (
        ("Hot water temperature", "47 degrees", None),
        ("Comfort mode (keeps the exchanger warm)", "", False),
        ("Anti-legionella cycle", "Sunday 03:30, weekly", None),
        ("Circulation pump", "06:00 to 08:00", None),
        ("Open window detection", "", True),
        ("Pause when a window is open", "25 minutes", None),
        ("Holiday mode", "", False),
    )
    for number, (name, value, on) in enumerate(rows):
        y = 160 + number * 52
        sheet.line([(54, y + 26), (706, y + 26)], EDGE)
        sheet.write(54, y, name, 18, INK, anchor="lm")
        if on is None:
            sheet.write(706, y, value, 18, "#1d4e79", "bold", "rm")
        else:
            _switch(sheet, 654, y - 13, on)
    for left, words, fill, ink in ((462, "Cancel", "#e5e7eb", INK), (594, "Save", "#1d4e79", "white")):
        sheet.box(left, 534, left + 112, 576, fill, radius=8)
        sheet.write(left + 56, 555, words, 18, ink, "bold", "mm")
    return png(sheet.done(), 64)


def _switch(sheet: Sheet, left: float, top: float, on: bool) -> None:
    sheet.box(left, top, left + 52, top + 26, "#2f9e62" if on else "#b6bcc6", radius=13)
    sheet.oval(left + (39 if on else 13), top + 13, 10, 10, "white")


def terminal() -> bytes:
    """The weekly backup of this book, with one file that it could not take."""
    sheet = Sheet(820, 520, "#15181e")
    sheet.box(0, 0, 820, 36, "#2b303a")
    for x, colour in ((22, "#e06c60"), (46, "#e5b454"), (70, "#7cb872")):
        sheet.oval(x, 18, 8, 8, colour)
    sheet.write(410, 18, "tilda@larch: backup", 15, "#c9ced8", "mono", "mm")
    lines: tuple[tuple[str, Colour], ...] = (
        ("tilda@larch:~$ ./backup-book.sh", "#8fd18a"),
        ("Backup of Sunday 8 March 2026, 20:15", "#d8dce4"),
        ("target:   memory stick BLUE TIN (64 GB, 41 free)", "#d8dce4"),
        ("scanned:  1,284 files in 63 folders", "#d8dce4"),
        ("copied:   37 new, 12 changed, 3.7 GB in all", "#d8dce4"),
        ("skipped:  maps/nagasaki-1897.tif is open elsewhere", "#f0c96b"),
        ("removed:  snapshot of 7 December 2025", "#d8dce4"),
        ("verify:   1,283 of 1,283 checksums agree", "#8fd18a"),
        ("time:     4 min 52 s", "#d8dce4"),
        ("Done with 1 warning. Next backup: 15 March 2026.", "#f0c96b"),
        ("tilda@larch:~$ _", "#8fd18a"),
    )
    for number, (words, colour) in enumerate(lines):
        sheet.write(24, 62 + number * 40, words, 21, colour, "mono")
    return png(sheet.done(), 48)


def calendar() -> bytes:
    """Week 11 of 2026."""
    sheet = Sheet(1000, 620, "white")
    sheet.write(24, 20, "March 2026", 26, INK, "bold")
    sheet.write(200, 28, "Week 11", 18, FAINT)
    days = ("Mon 9", "Tue 10", "Wed 11", "Thu 12", "Fri 13", "Sat 14", "Sun 15")
    for number, day in enumerate(days):
        left = 74 + number * 130
        sheet.write(left + 65, 82, day, 17, INK, "bold", "mm")
        sheet.line([(left, 100), (left, 610)], EDGE)
    for hour in range(7, 22, 2):
        y = 110 + (hour - 7) * 33
        sheet.write(62, y, f"{hour:02}:00", 14, FAINT, anchor="rm")
        sheet.line([(74, y), (984, y)], "#eceff3")
    events = (
        (0, 12.5, 2.4, "#cfe3f7", ("12:30", "Lunch with", "Pascal")),
        (1, 19.25, 1.7, "#f7d9d4", ("19:15", "Rehearsal")),
        (2, 18.5, 2.2, "#d9eed6", ("18:30", "Ms Aoki", "")),
        (3, 7.0, 6.0, "#f8e8c0", ("07:00 to 13:00", "Oil lorry at", "Skelby;", "shut in the", "goose")),
        (4, 10.67, 3.2, "#e4daf3", ("10:40", "Eye test,", "Lensmith's,", "Quay Street")),
        (5, 14.0, 2.4, "#cfe3f7", ("14:00", "Viola to", "Mr Sorley")),
        (6, 9.5, 2.4, "#d9eed6", ("09:30", "First look at", "Beatrix")),
    )
    for day, start, length, fill, words in events:
        left, top = 78 + day * 130, 110 + (start - 7) * 33
        sheet.box(left, top, left + 122, top + length * 33, fill, radius=6)
        for number, text in enumerate(words):
            sheet.write(left + 8, top + 5 + number * 22, text, 16, INK, "sans" if number else "bold")
    return gif(sheet.done())


def booking() -> bytes:
    """The night ferry, on the way to Liesel and the clock that nobody winds."""
    sheet = Sheet(720, 780, "#e9eef2")
    sheet.box(30, 30, 690, 750, "white", EDGE, 1, 14)
    sheet.box(30, 30, 690, 132, "#0b5563", radius=14)
    sheet.box(30, 110, 690, 132, "#0b5563")
    sheet.write(60, 58, "North Sea Night Line", 26, "white", "bold")
    sheet.write(60, 96, "Your booking is confirmed", 17, "#cfe8ec")
    sheet.write(60, 172, "Booking code", 16, FAINT)
    sheet.write(60, 196, "HK7Q2M", 34, "#0b5563", "mono-bold")
    rows = (
        ("Passenger", "Ms Tilda Fenwick"),
        ("Outward", "Harwich to Hook of Holland"),
        ("Departs", "Thursday 2 April 2026, 23:00"),
        ("Arrives", "Friday 3 April 2026, 08:00"),
        ("Cabin", "9114, deck 9, single, with window"),
        ("Check-in closes", "45 minutes before departure"),
        ("Return", "Wednesday 8 April 2026, 21:30"),
        ("Bicycle", "1, space 27 on the car deck"),
        ("Paid", "EUR 218.40"),
    )
    for number, (name, value) in enumerate(rows):
        y = 276 + number * 48
        sheet.line([(60, y - 14), (660, y - 14)], "#e5e8ec")
        sheet.write(60, y, name, 18, FAINT)
        sheet.write(250, y, value, 18, INK, "bold")
    sheet.write(60, 716, "Breakfast is served from 06:30 on deck 8.", 16, FAINT)
    return webp(sheet.done(), 80)
