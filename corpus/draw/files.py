"""Which drawing is which file, and which is a figure of a document."""

from collections.abc import Callable, Mapping

from PIL import Image

from draw import photos, plans, scans, screens

FIGURES: Mapping[str, Callable[[], Image.Image]] = {
    "hive_scales": plans.hive_scales,
    "robbing_traffic": plans.robbing_traffic,
}
PICTURES: Mapping[str, Callable[[], bytes]] = {
    "pictures/photos/IMG_0398.jpg": photos.red_kettle,
    "pictures/photos/IMG_0431.jpg": photos.jura_ridge,
    "pictures/photos/IMG_0466.jpg": photos.lighthouse,
    "pictures/photos/IMG_0512.jpg": photos.heron,
    "pictures/photos/front-door.webp": photos.front_door,
    "pictures/photos/kitchen-shelf.jpg": photos.kitchen_shelf,
    "pictures/plans/gas-2025.png": plans.gas_bars,
    "pictures/plans/honey-label-2025.webp": plans.honey_label,
    "pictures/plans/plot-23-measured.svg": plans.bed_plan,
    "pictures/plans/way-to-saint-lorenz.png": plans.way_to_saint_lorenz,
    "pictures/plans/whiteboard-drill-hall.jpg": plans.whiteboard,
    "pictures/scans/letter-saint-lorenz.jpg": scans.letter,
    "pictures/scans/receipt-hobb.jpg": scans.receipt,
    "pictures/scans/scan0023.jpg": scans.guarantee,
    "pictures/scans/seed-cake.tiff": scans.recipe_card,
    "pictures/screens/calendar-week-11.gif": screens.calendar,
    "pictures/screens/chat-ruth.png": screens.chat,
    "pictures/screens/night-ferry.webp": screens.booking,
    "pictures/screens/screenshot-2026-01-18.png": screens.settings,
    "pictures/screens/screenshot-2026-03-08.png": screens.terminal,
}
