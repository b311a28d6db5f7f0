"""What the studio demands of downloaded references and of a mask.

ToAPIs image editing page (gpt-image-1.5-official), body.image_urls: PNG or JPG, at most 50MB each; body.mask_url: PNG
with an alpha channel, the pixels of the first reference. The VIP page says nothing of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_REFERENCE = 50 * 1024 * 1024  # bytes
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # Pillow's ways to say "not a picture"


class UnusableReferenceError(Exception):
    """A reference or mask that cannot be used; the message is fit for the API's `error.message`."""


def examine(references: list[Path], mask: Path | None) -> None:
    """Read the files' headers; raises UnusableReferenceError. A file that breaks off later is found by the painter."""
    sizes = [_header(path, f"reference image {number}").size for number, path in enumerate(references, 1)]
    if mask is None:
        return
    picture = _header(mask, "the mask")
    if picture.format != "PNG":
        raise UnusableReferenceError("the mask is not a PNG")
    # The transparent colours of a palette or of one shade count: PNG specification, 11.3.2.1, "alpha channel".
    if not picture.has_transparency_data:
        raise UnusableReferenceError("the mask has no alpha channel")
    if picture.size != sizes[0]:
        raise UnusableReferenceError(f"the mask is {picture.size} pixels, the first reference image {sizes[0]}")


def _header(path: Path, name: str) -> Image.Image:
    """The picture, not decoded; its file is closed."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return picture
    except UNREADABLE as error:
        raise UnusableReferenceError(f"{name} is not a readable PNG or JPEG") from error
