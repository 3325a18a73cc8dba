"""Scenes in the manner of photographs, with what the camera wrote down: the trip to the Jura, the coast, the house."""

import math
from datetime import datetime

import numpy as np
from PIL import Image, ImageFilter

from draw.ink import Colour, Point, Sheet, camera_facts, grained, jpeg, webp


def jura_ridge() -> bytes:
    """The moment on 12 June 2025 when the fog opened: a dry wall, pasture, a sea of mist and the Alps."""
    sheet = Sheet(960, 640, "#bcd3e6", 2)
    sheet.shade("#6f9fcb", "#e6eef2", 0, 360)
    chance = np.random.default_rng(41)
    _range(sheet, chance, 300, 70, "#c5d3de", "#f6fafc")
    _range(sheet, chance, 340, 44, "#93a9b8", "#e2ebf0")
    sheet.shade("#eef2f3", "#dfe6e4", 360, 440)
    for _ in range(14):
        sheet.oval(chance.uniform(0, 960), chance.uniform(360, 430), chance.uniform(90, 190), 26, "#f1f4f5")
    sheet.shape([(0, 450), (260, 425), (560, 440), (960, 405), (960, 640), (0, 640)], "#6f9a4e")
    sheet.shape([(0, 520), (360, 490), (960, 530), (960, 640), (0, 640)], "#5b8542")
    for column in range(40):
        for row in range(3):
            x, y = column * 25 + 12 * (row % 2), 540 + row * 20 + 8 * math.sin(column / 5)
            grey = int(chance.integers(120, 180))
            sheet.oval(x, y, 15, 11, (grey, grey - 6, grey - 18), "#5f5b52", 1)
    return jpeg(
        _lens(sheet, 42),
        exif=camera_facts(datetime(2025, 6, 12, 11, 38, 5), (46.52874, 6.13052), 1607),
    )


def _range(sheet: Sheet, chance: np.random.Generator, base: float, height: float, rock: Colour, snow: Colour) -> None:
    """A chain of peaks whose upper parts are snow."""
    x = -40.0
    while x < 1000:
        width, rise = chance.uniform(90, 170), height * chance.uniform(0.7, 2.2)
        peak = (x + width / 2, base - rise)
        sheet.shape([(x - 30, 372), peak, (x + width + 30, 372)], rock)
        sheet.shape([(peak[0] - rise * 0.24, peak[1] + rise * 0.36), peak, (peak[0] + rise * 0.2, peak[1] + rise * 0.3),
                     (peak[0], peak[1] + rise * 0.22)], snow)  # fmt: skip
        x += width * 0.7


def lighthouse() -> bytes:
    """The light on Aldermouth bar at sunset. The camera was held upright and says so: it is stored on its side."""
    sheet = Sheet(640, 900, "#f2a65a", 2)
    sheet.shade("#3d3a6b", "#d9605a", 0, 320)
    sheet.shade("#d9605a", "#f8c067", 320, 560)
    sheet.oval(430, 560, 74, 74, "#ffe9a8")
    sheet.shade("#b5553f", "#2b2b4a", 560, 900)
    chance = np.random.default_rng(43)
    for number in range(46):
        y = 566 + number * 6
        x, length = 430 + chance.normal(0, 26), 70 * (1 - number / 60) * chance.uniform(0.4, 1)
        sheet.line([(x - length, y), (x + length, y)], "#f6c27a", 2)
    sheet.shape([(0, 690), (110, 640), (270, 650), (350, 720), (420, 900), (0, 900)], "#1d1a24")
    sheet.shape([(150, 650), (164, 300), (216, 300), (230, 650)], "#f0e6dc")
    for top in (370, 490, 610):
        sheet.shape([(165 - (top - 300) / 25, top), (215 + (top - 300) / 25, top),
                     (218 + (top - 300) / 25, top + 50), (162 - (top - 300) / 25, top + 50)], "#a82f2a")  # fmt: skip
    sheet.box(150, 286, 230, 302, "#2a2530")
    sheet.box(168, 240, 212, 288, "#ffe38a", "#2a2530", 4)
    sheet.shape([(160, 242), (190, 205), (220, 242)], "#2a2530")
    sheet.shape([(212, 250), (640, 170), (640, 300), (212, 280)], "#f6b36f")
    upright = _lens(sheet, 44)
    exif = camera_facts(datetime(2025, 8, 16, 20, 21, 40), (53.24155, 0.33418), 4, orientation=6)
    return jpeg(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)


def red_kettle() -> bytes:
    """The red kettle on the stove, on its first day."""
    sheet = Sheet(800, 640, "#e9e2d2", 2)
    for row in range(5):
        for column in range(9):
            left = column * 92 - 46 * (row % 2)
            sheet.box(left, row * 84, left + 88, row * 84 + 80, "#f3eee2")
    sheet.box(0, 470, 800, 640, "#3b3c40")
    sheet.box(0, 462, 800, 482, "#5b5c61")
    for x in (250, 560):
        sheet.oval(x, 474, 120, 14, "#202124")
    sheet.oval(400, 470, 170, 18, "#1b1c1f")
    body: list[Point] = [(250, 462), (236, 380), (262, 300), (330, 250), (470, 250), (538, 300), (564, 380), (550, 462)]
    sheet.shape(body, "#c4211f")
    sheet.oval(400, 350, 158, 112, "#c4211f")
    sheet.shape([(540, 330), (640, 262), (664, 280), (570, 400)], "#b01c1b")
    sheet.oval(652, 270, 16, 12, "#2b2b2d")
    sheet.oval(400, 246, 74, 16, "#a51817")
    sheet.oval(400, 226, 16, 18, "#222224")
    sheet.line([(270, 280), (300, 150), (400, 116), (500, 150), (530, 280)], "#232325", 20)
    sheet.oval(322, 322, 26, 54, "#e5615c")
    for number in range(3):
        sheet.line([(676 + number * 14, 240 - number * 46 - 20 * step) for step in range(2)], "#faf8f2", 14)
    return jpeg(_lens(sheet, 45), exif=camera_facts(datetime(2024, 11, 30, 8, 5, 12)))


def front_door() -> bytes:
    """The blue door of Larch House."""
    sheet = Sheet(600, 820, "#a5533f", 2)
    bricks = ("#9c4b38", "#a85742", "#95452f")
    for row in range(32):
        for column in range(9):
            left = column * 78 - 39 * (row % 2)
            sheet.box(left, row * 26, left + 74, row * 26 + 22, bricks[(row * 5 + column) % 3])
    sheet.box(130, 60, 470, 790, "#f1ede4")
    sheet.box(156, 90, 444, 790, "#1f5fa8")
    for top, bottom in ((320, 500), (540, 740)):
        for left in (184, 314):
            sheet.box(left, top, left + 102, bottom, "#1a528f", "#174a82", 4)
    sheet.box(184, 120, 416, 210, "#cfe3ee", "#174a82", 4)
    sheet.box(252, 234, 348, 300, "#f7f4ea", "#2b2b2d", 3, 6)
    sheet.write(300, 268, "14", 48, "#1d1d1f", "bold", "mm")
    sheet.oval(424, 520, 11, 11, "#d8b24a")
    sheet.box(262, 508, 338, 526, "#d8b24a", radius=4)
    sheet.box(110, 786, 490, 820, "#b9b3a6")
    sheet.shape([(22, 786), (40, 700), (96, 700), (112, 786)], "#b0623a")
    chance = np.random.default_rng(46)
    for _ in range(60):
        sheet.oval(chance.normal(67, 26), chance.normal(650, 34), 12, 9, "#3f7d3a")
    return webp(_lens(sheet, 47), 68)


def kitchen_shelf() -> bytes:
    """Five jars and what is written on them; Otto's spare is the last."""
    sheet = Sheet(960, 600, "#ded3bf", 2)
    sheet.shade("#e8dfce", "#cdbfa6")
    sheet.box(0, 440, 960, 476, "#8a5f3c")
    sheet.box(0, 476, 960, 492, "#6b4729")
    jars = (
        ("RYE", "coarse", "#a88a63"), ("CARAWAY", "use first", "#6d5436"), ("SEMOLINA", "for the plums", "#ecd9a6"),
        ("HONEY", "lot 25-08 B", "#d99a2b"), ("OTTO II", "dried 4 May 25", "#d8cdb8"),
    )  # fmt: skip
    for number, (name, words, fill) in enumerate(jars):
        left = 34 + number * 184
        sheet.box(left, 170, left + 156, 440, "#e9eef0", "#9aa7ad", 3, 18)
        sheet.box(left + 8, 232, left + 148, 434, fill, radius=12)
        sheet.box(left + 10, 132, left + 146, 176, "#7d8489", radius=8)
        sheet.box(left + 10, 270, left + 146, 366, "#fffdf5", "#b9ad94", 2, 4)
        sheet.write(left + 78, 300, name, 25, "#2a2620", "bold", "mm")
        sheet.write(left + 78, 338, words, 16, "#2a2620", "sans", "mm")
    return jpeg(_lens(sheet, 48), exif=camera_facts(datetime(2025, 5, 4, 17, 46, 30)))


def heron() -> bytes:
    """The town bicycle with its new rear wheel, on the day it was fetched."""
    sheet = Sheet(960, 640, "#d8cfbf", 2)
    sheet.shade("#d9d0c0", "#cabfac", 0, 480)
    sheet.shade("#8f8a80", "#75716a", 480, 640)
    for x in (290, 680):
        sheet.oval(x, 430, 132, 132, line="#1d1d1f", width=13)
        sheet.oval(x, 430, 119, 119, line="#b9bcc0", width=5)
        for spoke in range(18):
            angle = spoke * math.pi / 9 + 0.1
            sheet.line([(x, 430), (x + 117 * math.cos(angle), 430 + 117 * math.sin(angle))], "#c9ccd0", 1.5)
        sheet.oval(x, 430, 16, 16, "#8d9095")
    black = "#20302a"
    for tube in ([(290, 430), (430, 430)], [(430, 430), (392, 236)], [(290, 430), (398, 262)],
                 [(430, 430), (616, 282)], [(404, 300), (610, 262)], [(604, 216), (680, 430)]):  # fmt: skip
        sheet.line(tube, black, 11)
    sheet.oval(430, 430, 34, 34, "#2c3e37")
    sheet.line([(430, 430), (458, 488)], "#8d9095", 9)
    sheet.box(438, 484, 492, 498, "#1b1b1c", radius=4)
    sheet.shape([(336, 226), (440, 218), (446, 236), (352, 248)], "#7a4a24")
    sheet.line([(604, 216), (600, 176), (540, 168)], "#b9bcc0", 10)
    sheet.line([(548, 168), (506, 182)], "#3a2a1c", 14)
    sheet.line([(170, 290), (392, 290)], black, 8)
    sheet.line([(210, 292), (290, 430)], black, 6)
    sheet.box(160, 236, 400, 288, "#3b2b22", "#1d1512", 3, 24)
    sheet.oval(642, 268, 20, 24, "#f3e6a2", "#6d6d70", 4)
    words = "The Heron with its new rear wheel, fetched from the Spoke & Anchor"
    return jpeg(_lens(sheet, 49), exif=camera_facts(datetime(2026, 1, 23, 16, 12, 9), words=words))


def _lens(sheet: Sheet, seed: int) -> Image.Image:
    """Soft and grainy, as a small camera sees."""
    return grained(sheet.done().filter(ImageFilter.GaussianBlur(0.9)), seed, 3.5)
