"""Small things that several layers of tests need."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def picture(kind: str = "PNG", colour: tuple[int, int, int] = (200, 60, 40)) -> bytes:
    """A small real picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(buffer, kind)
    return buffer.getvalue()


def mask_picture(size: tuple[int, int] = (96, 64)) -> bytes:
    """A mask that asks for a new left half."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def plain(value: Any) -> Any:
    """A value of DynamoDB's low-level client without its types."""
    ((kind, inner),) = value.items()
    if kind == "M":
        return {name: plain(item) for name, item in inner.items()}
    if kind == "L":
        return [plain(item) for item in inner]
    return int(inner) if kind == "N" else None if kind == "NULL" else inner
