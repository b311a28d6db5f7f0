"""The edit, measured on the pictures that the simulator serves."""

from __future__ import annotations

import io
from itertools import combinations

import httpx
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageOps, ImageStat

from local.simulator import Simulator
from local.simulator.painting import edit
from local.simulator.pixels import nearest_ratio, output_pixels
from tests.samples import picture as small_picture
from tests.waiting import until

# ToAPIs, size table of the gpt-image-2 family: width x height in pixels.
TABLE = """
1:1   1024x1024 2048x2048 2880x2880
3:2   1536x1024 2048x1360 3520x2336
2:3   1024x1536 1360x2048 2336x3520
4:3   1024x768  2048x1536 3312x2480
3:4   768x1024  1536x2048 2480x3312
5:4   1280x1024 2560x2048 3216x2576
4:5   1024x1280 2048x2560 2576x3216
16:9  1536x864  2048x1152 3840x2160
9:16  864x1536  1152x2048 2160x3840
2:1   2048x1024 2688x1344 3840x1920
1:2   1024x2048 1344x2688 1920x3840
21:9  2016x864  2688x1152 3840x1648
9:21  864x2016  1152x2688 1648x3840
"""
PIXELS = {
    (row.split()[0], tier): tuple(int(side) for side in cell.split("x"))
    for row in TABLE.strip().splitlines()
    for tier, cell in zip(("1k", "2k", "4k"), row.split()[1:], strict=True)
}


def drawing(width: int, height: int) -> Image.Image:
    """A scene with flat areas, a gradient and edges."""
    picture = ImageOps.colorize(Image.linear_gradient("L").resize((width, height)), "#183a6b", "#f2d29b")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width * 0.1, height * 0.1, width * 0.4, height * 0.5), fill="#c0392b")
    draw.rectangle((width * 0.55, height * 0.5, width * 0.9, height * 0.95), fill="#2e8b57", outline="black", width=6)
    return picture


def mask_with_hole(width: int, height: int, hole: tuple[int, int, int, int]) -> Image.Image:
    """Opaque, transparent inside the hole, and half transparent in a strip that must be left alone too."""
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 128), (0, 0, width, 40))
    mask.paste((0, 0, 0, 0), hole)
    return mask


def difference(one: Image.Image, other: Image.Image, window: Image.Image | None = None) -> ImageStat.Stat:
    """Absolute difference per channel, inside a window when one is given."""
    return ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB")), window)


def mean(stat: ImageStat.Stat) -> float:
    """Over the three channels."""
    return sum(stat.mean) / 3


@pytest.mark.parametrize(("size", "resolution"), PIXELS)
def test_the_pixel_table(size, resolution):
    assert output_pixels(size, resolution) == PIXELS[size, resolution]


@pytest.mark.parametrize(("size", "resolution"), [("9:21", "1k"), ("3:2", "2k"), ("16:9", "4k")])
@pytest.mark.parametrize("with_reference", [True, False])
def test_pictures_have_the_pixels_of_the_table(simulator_api, picture_host, size, resolution, with_reference):
    references = {"image_urls": [picture_host.serve("/a.png", drawing(640, 480))]} if with_reference else {}
    (picture,) = simulator_api.pictures(size=size, resolution=resolution, **references)

    assert picture.size == PIXELS[size, resolution]
    assert picture.format == "PNG"
    assert max(ImageStat.Stat(picture.convert("L")).stddev) > 10  # a picture, not a flat area


@pytest.mark.parametrize("pixels", [(1024, 1024), (900, 700)])
@pytest.mark.parametrize("prompt", ["a starry sky", "make it autumn"])
def test_a_mask_bounds_the_edit(simulator_api, picture_host, pixels, prompt):
    reference = drawing(*pixels)
    width, height = pixels
    mask = mask_with_hole(width, height, (width // 4, height // 4, width * 3 // 4, height * 2 // 3))
    (picture,) = simulator_api.pictures(
        prompt=prompt,
        size="1:1",
        image_urls=[picture_host.serve("/a.png?sig=1", reference)],
        mask_url=picture_host.serve("/m.png", mask),
    )

    fitted = ImageOps.fit(reference, (1024, 1024))
    alpha = ImageOps.fit(mask.getchannel("A"), (1024, 1024), Image.Resampling.NEAREST)
    inside = alpha.point([255] + [0] * 255)
    assert max(high for _, high in difference(picture, fitted, ImageOps.invert(inside)).extrema) == 0
    assert mean(difference(picture, fitted, inside)) > 20


@pytest.mark.parametrize("colour", ["black", "white", "#808080", "#c04040", "#2040c0", "#d0c080"])
@pytest.mark.parametrize("prompt", ["a", "b", "c", "d"])
def test_the_edit_is_strong_on_any_flat_colour(colour, prompt):
    flat = Image.new("RGB", (96, 96), colour)
    for variant in range(10):
        assert mean(difference(edit([flat], None, prompt, variant), flat)) > 20


def test_an_edit_without_a_mask_changes_the_picture_and_keeps_its_motif(simulator_api, picture_host):
    reference = drawing(1024, 1024)
    (picture,) = simulator_api.pictures(image_urls=[picture_host.serve("/a.png", reference)])

    assert mean(difference(picture, reference)) > 20
    edges = [ImageStat.Stat(it.convert("L").crop((540, 500, 580, 980))).stddev[0] for it in (picture, reference)]
    assert min(edges) > 5  # the rectangle's left side is still there


@pytest.mark.parametrize("with_reference", [True, False])
def test_variants_differ_from_one_another(simulator_api, picture_host, with_reference):
    references = {"image_urls": [picture_host.serve("/a.png", drawing(640, 640))]} if with_reference else {}
    pictures = simulator_api.pictures(n=5, **references)

    assert len(pictures) == 5
    assert min(mean(difference(one, other)) for one, other in combinations(pictures, 2)) > 8


def test_the_same_order_gives_the_same_picture_and_another_prompt_another(simulator_api, picture_host):
    order = {"image_urls": [picture_host.serve("/a.png", drawing(640, 640))]}
    first, second = (simulator_api.files(prompt="dawn", **order)[0] for _ in range(2))
    other = simulator_api.files(prompt="dusk", **order)[0]

    assert first == second
    assert first != other


def test_every_reference_counts(simulator_api, picture_host):
    one = picture_host.serve("/1.png", drawing(512, 512))
    two = picture_host.serve("/2.jpg", ImageOps.invert(drawing(300, 500)), "JPEG")
    order = {"model": "gpt-image-2-vip", "prompt": "blend"}
    (alone,), (blended,) = (simulator_api.pictures(reference_images=urls, **order) for urls in ([one], [one, two]))

    assert mean(difference(alone, blended)) > 5


def test_jpeg_is_jpeg_and_compression_shows(simulator_api, picture_host):
    order = {"image_urls": [picture_host.serve("/a.png", drawing(640, 640))], "output_format": "jpeg"}
    large, small = (simulator_api.files(output_compression=level, **order)[0] for level in (100, 20))

    assert Image.open(io.BytesIO(large)).format == "JPEG"
    assert Image.open(io.BytesIO(large)).size == (1024, 1024)
    assert len(small) < len(large)
    url = simulator_api.finished(simulator_api.accepted(**order))["result"]["data"][0]["url"]
    assert simulator_api.anyone.get(url).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("pixels", "ratio"), [((1000, 1000), "1:1"), ((4000, 3000), "4:3"), ((500, 1100), "9:21"), ((3000, 1000), "21:9")]
)
def test_auto_takes_the_nearest_ratio(pixels, ratio):
    assert nearest_ratio(pixels) == ratio


def test_auto_follows_the_first_reference(simulator_api, picture_host):
    urls = [picture_host.serve("/a.png", drawing(600, 400)), picture_host.serve("/b.png", drawing(400, 600))]
    (picture,) = simulator_api.pictures(size="auto", image_urls=urls)

    assert picture.size == PIXELS["3:2", "1k"]


def test_references_are_fetched_by_one_plain_get(simulator, simulator_api, picture_host):
    url = picture_host.serve("/a%20b.png?X-Amz-Signature=a%2Fb%2Bc&x=1", drawing(64, 64))
    simulator_api.files(image_urls=[url])

    ((method, path, headers),) = picture_host.requests
    assert (method, path) == ("GET", "/a%20b.png?X-Amz-Signature=a%2Fb%2Bc&x=1")
    assert "authorization" not in {name.lower() for name in headers}
    assert "X-Amz-Signature" not in simulator.log_text()


def test_a_photograph_is_turned_the_way_it_was_taken(simulator_api, picture_host):
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    drawing(600, 400).save(buffer, "JPEG", exif=exif)
    (picture,) = simulator_api.pictures(size="auto", image_urls=[picture_host.serve("/a.jpg", buffer.getvalue())])

    assert picture.size == PIXELS["2:3", "1k"]


UNUSABLE = {
    "not a picture": (b"<html>", "reference image 2 is not a readable PNG or JPEG"),
    "cut off": (None, "reference image 2 is not a readable PNG or JPEG"),
    "webp": ("WEBP", "reference image 2 is not a readable PNG or JPEG"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_reference_that_is_no_png_or_jpeg_fails_the_task(simulator_api, picture_host, case):
    kind, message = UNUSABLE[case]
    good = picture_host.serve("/1.png", drawing(64, 64))
    bad = picture_host.serve("/2.png", kind) if isinstance(kind, bytes) else ""
    if kind == "WEBP":
        bad = picture_host.serve("/2.png", drawing(64, 64), "WEBP")
    if kind is None:
        bad = picture_host.serve("/2.png", picture_host.pages["/1.png"][:200])
    body = simulator_api.finished(simulator_api.accepted(image_urls=[good, bad]))

    assert body["status"] == "failed"
    assert message in body["error"]["message"]


def test_a_reference_may_have_50_mb_and_no_byte_more(simulator_api, picture_host):
    padded = small_picture().ljust(50 * 1024 * 1024, b"\0")
    urls = [picture_host.serve("/a.png", padded), picture_host.serve("/b.png", padded + b"\0")]
    whole, over = (simulator_api.accepted(image_urls=[url], prompt="fault:fewer-pictures") for url in urls)

    assert simulator_api.finished(whole)["status"] == "completed"
    assert "reference image 1 is larger than 50MB" in simulator_api.finished(over)["error"]["message"]


def test_references_are_looked_at_without_paint_too(picture_host):
    with Simulator(queue_seconds=0, task_seconds=0, paint=False) as simulator:
        headers = {"Authorization": f"Bearer {simulator.api_key}"}
        with httpx.Client(base_url=simulator.base_url, headers=headers) as client:
            order = {"model": "gpt-image-2-vip", "prompt": "x", "image_urls": [picture_host.serve("/a.png", b"<html>")]}
            path = f"/v1/images/generations/{client.post('/v1/images/generations', json=order).json()['id']}"
            body = until(lambda: client.get(path).json(), "its end", lambda body: body["status"] == "failed")

    assert "reference image 1 is not a readable PNG or JPEG" in body["error"]["message"]


def hole(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """0 inside the box, 1 outside."""
    layer = Image.new("L", size, 1)
    layer.paste(0, box)
    return layer


def palette_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    """A palette whose first colour is transparent."""
    mask = Image.frombytes("P", size, hole(size, box).tobytes())
    mask.putpalette([0, 0, 0, 255, 255, 255])
    return saved(mask, transparency=0)


def grey_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    """Grey and alpha."""
    return saved(Image.merge("LA", [Image.new("L", size), hole(size, box).point([0, *([255] * 255)])]))


def shade_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    """Grey, of which one shade is transparent."""
    return saved(hole(size, box), transparency=0)


def saved(mask: Image.Image, **options: object) -> bytes:
    """As a PNG file."""
    buffer = io.BytesIO()
    mask.save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("made", [palette_mask, grey_mask, shade_mask])
def test_alpha_counts_in_whatever_way_a_png_has_it(simulator_api, picture_host, made):
    reference = drawing(1024, 1024)
    (picture,) = simulator_api.pictures(
        image_urls=[picture_host.serve("/a.png", reference)],
        mask_url=picture_host.serve("/m.png", made((1024, 1024), (0, 0, 512, 1024))),
    )

    left, right = (0, 0, 512, 1024), (512, 0, 1024, 1024)
    assert max(high for _, high in difference(picture.crop(right), reference.crop(right)).extrema) == 0
    assert mean(difference(picture.crop(left), reference.crop(left))) > 20


def test_a_mask_lies_on_its_reference_as_stored_and_turns_with_it(simulator_api, picture_host):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    buffer = io.BytesIO()
    drawing(600, 400).save(buffer, "JPEG", exif=exif)
    mask = grey_mask((600, 400), (0, 0, 600, 200))  # the upper half as stored is the right half as seen
    (picture,) = simulator_api.pictures(
        size="2:3",
        image_urls=[picture_host.serve("/a.jpg", buffer.getvalue())],
        mask_url=picture_host.serve("/m.png", mask),
    )

    seen = ImageOps.fit(ImageOps.exif_transpose(Image.open(buffer)), picture.size)
    left, right = (0, 0, 500, 1536), (524, 0, 1024, 1536)
    assert max(high for _, high in difference(picture.crop(left), seen.crop(left)).extrema) == 0
    assert mean(difference(picture.crop(right), seen.crop(right))) > 20


@pytest.mark.parametrize(
    ("mask", "file_format", "message"),
    [
        (Image.new("RGBA", (63, 64)), "PNG", "(63, 64) pixels"),
        (Image.new("RGB", (64, 64)), "PNG", "no alpha channel"),
        (Image.new("RGB", (64, 64)), "JPEG", "the mask is not a PNG"),
        (Image.new("RGB", (64, 64)), "WEBP", "the mask is not a readable PNG or JPEG"),
    ],
)
def test_a_mask_that_does_not_fit_fails_the_task(simulator_api, picture_host, mask, file_format, message):
    urls = [picture_host.serve("/a.png", drawing(64, 64))]
    mask_url = picture_host.serve("/m.png", mask, file_format)
    body = simulator_api.finished(simulator_api.accepted(image_urls=urls, mask_url=mask_url))

    assert body["status"] == "failed"
    assert message in body["error"]["message"]
