"""Whether a file is a picture on which something is drawn."""

from pathlib import Path

from PIL import Image


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        picture.load()
        return picture.format == "PNG" and min(picture.size) > 200 and len(picture.convert("L").getcolors()) > 1
