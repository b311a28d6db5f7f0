"""S3: whole pictures or nothing, never over another object, and never much of one in memory."""

from __future__ import annotations

import hashlib
import json
import random
import tracemalloc
from base64 import b64encode
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from bucketbrush.adapters import objects
from bucketbrush.adapters.objects import PART_BYTES, SIDE_BY_SIDE, Objects
from bucketbrush.domain.errors import PictureUnreadable, RecipeInvalid, ResultUnstored
from bucketbrush.domain.inspection import Facts, inspect
from bucketbrush.domain.jobs import ObjectVersion
from bucketbrush.domain.pictures import PictureFormat, Pixels
from tests.contract.aws import bucket, client, keys, name
from tests.corpus.pictures import ODD_JPEGS, icc, jpeg, png, saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bucket"]
MIB = 1024 * 1024
PNG_HEAD, PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0\0\0\0IEND\xaeB`\x82"
JPEG_HEAD, JPEG_END = b"\xff\xd8\xff\xe0\0\x10JFIF", b"\xff\xd9"
CHUNK = 64 * 1024
PATIENCE = 5  # seconds; only what fails waits so long


@pytest.fixture
def store(bucket: str) -> Objects:
    return Objects(client("s3"), bucket)


def picture(size: int = 100, head: bytes = PNG_HEAD, end: bytes = PNG_END) -> bytes:
    return head + b"\1" * (size - len(head) - len(end)) + end


def chunks(content: bytes, size: int = CHUNK) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def open_uploads(bucket: str) -> list[Any]:
    found: list[Any] = client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return found


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (100, None),
        (PART_BYTES - 1, None),
        (PART_BYTES, None),
        (PART_BYTES + 1, 2),
        (2 * PART_BYTES, 2),
        (2 * PART_BYTES + 1, 3),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_a_picture_is_stored_whole(store: Objects, bucket: str, size: int, parts: int | None, announced: bool) -> None:
    content, stem = picture(size), name("results/cat/1")
    stored = store.store_picture(stem, chunks(content), size if announced else None)
    assert (stored.key, stored.bytes, stored.format) == (f"{stem}.png", size, PictureFormat.PNG)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    got = client("s3").get_object(Bucket=bucket, Key=stored.key, ChecksumMode="ENABLED")
    assert got["Body"].read() == content
    if parts is None:
        assert got["ChecksumSHA256"] == b64encode(hashlib.sha256(content).digest()).decode()
    assert got["ContentType"] == "image/png"
    assert got["ETag"].strip('"').partition("-")[2] == (str(parts) if parts else "")
    assert open_uploads(bucket) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png(), Pixels(4, 3)),
        (saved("JPEG"), Pixels(48, 32)),
        (jpeg(icc(40)), Pixels(48, 32)),
        (png() + bytes(PART_BYTES) + PNG_END, Pixels(4, 3)),
        (jpeg() + bytes(PART_BYTES) + JPEG_END, Pixels(48, 32)),
        (jpeg(icc(90)), None),  # behind the first part
        (picture(), None),
    ],
)
def test_the_pixels_are_told_when_it_is_stored_and_when_it_is_there(
    store: Objects, content: bytes, found: Pixels | None
) -> None:
    stored = store.store_picture(name("results/pixels/1"), chunks(content), len(content))
    assert stored.pixels == found
    assert store.picture(stored.key) == stored


TAGS = {"job": "cat-1", "model": "gpt-image-2-vip", "preset": "poster é/100%", "none": None, "empty": ""}
CLEAN = {"job": "cat-1", "model": "gpt-image-2-vip", "preset": "poster é/100_"}


def tags_of(bucket: str, key: str) -> dict[str, str]:
    found = client("s3").get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


class Noting:
    """S3, and what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def __getattr__(self, action: str) -> Any:
        def noted(**request: Any) -> Any:
            self.asked[action].append(request)
            return getattr(client("s3"), action)(**request)

        return noted


def test_a_picture_carries_its_tags(store: Objects, bucket: str) -> None:
    stored = store.store_picture(name("results/tagged/1"), chunks(picture()), None, TAGS)
    assert tags_of(bucket, stored.key) == CLEAN


def test_a_picture_in_parts_carries_its_tags_and_the_checksums_of_its_parts(bucket: str) -> None:
    """The engine forgets the tags of such an upload and its checksum, so the requests are looked at."""
    noting, content = Noting(), picture(PART_BYTES + 1)
    Objects(noting, bucket).store_picture(name("results/tagged/1"), chunks(content), None, TAGS)  # type: ignore[arg-type]
    sums = [b64encode(hashlib.sha256(part).digest()).decode() for part in (content[:PART_BYTES], content[PART_BYTES:])]
    (created,), (completed,) = noting.asked["create_multipart_upload"], noting.asked["complete_multipart_upload"]
    assert dict(parse_qsl(created["Tagging"])) == CLEAN
    assert created["ChecksumAlgorithm"] == "SHA256"
    sent = {part["PartNumber"]: part["ChecksumSHA256"] for part in noting.asked["upload_part"]}
    assert sent == dict(enumerate(sums, 1)), "they are sent side by side, in any order"
    assert [part["ChecksumSHA256"] for part in completed["MultipartUpload"]["Parts"]] == sums


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("a+b - =._:/@", "a+b - =._:/@"),
        ("猫 é ٣", "猫 é ٣"),
        ("e\u0301", "é"),
        ("a&b=c?d#e%20", "a_b=c_d_e_20"),
        ("line\nbreak\0", "line_break_"),
        ("x" * 300, "x" * 256),
        ("\U00020000" * 200, "\U00020000" * 128),  # each takes two places (S3 User Guide, object tags)
        ("x" + "\U00020000" * 200, "x" + "\U00020000" * 127),
    ],
)
def test_a_tag_holds_what_s3_takes(store: Objects, bucket: str, given: str, found: str) -> None:
    key = name("results/clean/1") + ".json"
    assert store.write_once(key, {}, {"preset": given})
    assert tags_of(bucket, key) == {"preset": found}


def test_a_page_takes_the_place_of_another(store: Objects, bucket: str) -> None:
    key = name("results/page/index") + ".html"
    store.write_page(key, "of an earlier try")
    store.write_page(key, "<p>猫", TAGS)
    got = client("s3").get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read().decode(), got["ContentType"]) == ("<p>猫", "text/html; charset=utf-8")
    assert tags_of(bucket, key) == CLEAN


@pytest.mark.parametrize("key", ["inbox/cat.png", "inbox/a b+c%20&d=é/猫.png"])
def test_a_copy_is_of_the_pinned_version_and_leaves_the_metadata_behind(store: Objects, bucket: str, key: str) -> None:
    """Metadata may hold a prompt, and a tag of the source is nobody's business here."""
    metadata = {"bb-prompt": "paint it"}
    client("s3").put_object(Bucket=bucket, Key=key, Body=picture(), Metadata=metadata, Tagging="secret=plan")
    version = store.current(key)
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"another version")
    assert version is not None
    copy = name("results/copied/reference") + ".png"
    assert store.copy_once(version, copy, "image/png", TAGS)
    got = client("s3").get_object(Bucket=bucket, Key=copy)
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (picture(), "image/png", {})
    assert tags_of(bucket, copy) == CLEAN
    client("s3").delete_object(Bucket=bucket, Key=key)
    assert store.copy_once(version, name("results/copied/reference"), "image/png"), "a deletion hides, and keeps"


def test_a_copy_of_a_version_that_is_gone_is_a_fault(store: Objects, bucket: str) -> None:
    with pytest.raises(ClientError):
        store.copy_once(ObjectVersion(bucket=bucket, key="inbox/gone.png"), "results/x/1.png", "image/png")


def test_a_copy_is_made_once(bucket: str) -> None:
    """The engine takes the condition and does not look at it, so S3's answer is given in its place."""
    version = ObjectVersion(bucket=bucket, key="inbox/cat.png")
    client("s3").put_object(Bucket=bucket, Key=version.key, Body=picture())
    noting, taken = Noting(), ClientError({"Error": {"Code": "PreconditionFailed"}}, "CopyObject")
    assert Objects(noting, bucket).copy_once(version, name("results/once/1"), "image/png")  # type: ignore[arg-type]
    assert [request["IfNoneMatch"] for request in noting.asked["copy_object"]] == ["*"]
    refusing: Any = Failing("copy_object", taken)
    assert not Objects(refusing, bucket).copy_once(version, name("results/once/1"), "image/png")


@pytest.mark.parametrize("chunk", [1, 7, 16, 1000])
def test_chunks_of_any_size(store: Objects, bucket: str, chunk: int) -> None:
    content, stem = picture(200, JPEG_HEAD, JPEG_END), name("results/cat/1")
    stored = store.store_picture(stem, chunks(content, chunk), None)
    got = client("s3").get_object(Bucket=bucket, Key=f"{stem}.jpg")
    assert (stored.format, got["ContentType"], got["Body"].read()) == (PictureFormat.JPEG, "image/jpeg", content)


BIG = picture(2 * PART_BYTES + 7)


@pytest.mark.parametrize(
    ("content", "announced", "kind", "words"),
    [
        (picture()[:-1], 100, ResultUnstored, "99 of 100"),
        (picture(), 99, ResultUnstored, "100 of 99"),
        (picture()[:-1], None, ResultUnstored, "without the end of a PNG"),
        (picture()[:-1], 99, ResultUnstored, "without the end of a PNG"),  # announced as if it were all
        (BIG[:PART_BYTES], PART_BYTES, ResultUnstored, "without the end of a PNG"),
        (picture(100, JPEG_HEAD, b"\xff"), None, ResultUnstored, "without the end of a JPEG"),
        (PNG_HEAD[:5], 100, ResultUnstored, "5 of 100"),
        (BIG[:-1], len(BIG), ResultUnstored, "announced bytes"),
        (BIG[:-1], None, ResultUnstored, "without the end"),
        (BIG + b"x", len(BIG), ResultUnstored, "announced bytes"),
        (b"", None, ResultUnstored, "no bytes"),
        (b"", 0, ResultUnstored, "no bytes"),
        (b"<!DOCTYPE html><p>Checking your browser", None, ResultUnstored, "markup"),
        (b'{"error": 1}', 12, ResultUnstored, "JSON"),
        (b"\0" * 6 * MIB, None, ResultUnstored, "no known picture"),
    ],
)
def test_what_is_not_whole_or_no_picture_leaves_nothing(
    store: Objects, bucket: str, content: bytes, announced: int | None, kind: type[Exception], words: str
) -> None:
    stem = name("results/bad/1")
    with pytest.raises(kind, match=words):
        store.store_picture(stem, chunks(content), announced)
    assert keys(bucket, stem) == []
    assert open_uploads(bucket) == []


def test_a_picture_without_end_is_given_up(store: Objects, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_PICTURE_BYTES", 2 * PART_BYTES)
    stem = name("results/endless/1")
    with pytest.raises(PictureUnreadable, match="more than 10,485,760 bytes"):
        store.store_picture(stem, chunks(BIG), None)
    assert (keys(bucket, stem), open_uploads(bucket)) == ([], [])


@pytest.mark.parametrize("error", [OSError("cut"), KeyboardInterrupt()])
def test_a_source_that_breaks_leaves_nothing(store: Objects, bucket: str, error: BaseException) -> None:
    def breaking() -> Iterator[bytes]:
        yield from chunks(BIG[: 2 * PART_BYTES])
        raise error

    stem = name("results/broken/1")
    with pytest.raises(type(error)):
        store.store_picture(stem, breaking(), len(BIG))
    assert (keys(bucket, stem), open_uploads(bucket)) == ([], [])


@pytest.mark.parametrize("size", [100, PART_BYTES + 1])
@pytest.mark.parametrize("other", [0, 9, PART_BYTES])
def test_a_picture_that_is_there_is_kept_and_is_what_is_told(
    store: Objects, bucket: str, size: int, other: int
) -> None:
    """Of two that store the same picture one was first; of its bytes alone the result may speak."""
    content, stem = picture(size), name("results/again/1")
    first = store.store_picture(stem, chunks(content), size)
    assert store.store_picture(stem, chunks(picture(size + other)), None) == first
    got = client("s3").list_object_versions(Bucket=bucket, Prefix=stem)["Versions"]
    assert [version["Size"] for version in got] == [size]
    assert open_uploads(bucket) == []


@pytest.mark.parametrize("size", [100, PART_BYTES + 1])
def test_of_many_that_store_a_picture_one_is_told_by_all(store: Objects, bucket: str, size: int) -> None:
    stem, contents = name("results/crowd/1"), [picture(size + number) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda content: store.store_picture(stem, chunks(content), None), contents))
    stored = client("s3").get_object(Bucket=bucket, Key=f"{stem}.png")["Body"].read()
    assert stored in contents
    assert {picture.sha256 for picture in told} == {hashlib.sha256(stored).hexdigest()}
    assert {picture.bytes for picture in told} == {len(stored)}
    assert open_uploads(bucket) == []


class Failing:
    """S3, but one of its actions is refused."""

    def __init__(self, action: str, error: Exception) -> None:
        self._action, self._error = action, error

    def __getattr__(self, action: str) -> Any:
        if action != self._action:
            return getattr(client("s3"), action)

        def refuse(**_: Any) -> Any:
            raise self._error

        return refuse


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ClientError({"Error": {"Code": "SlowDown", "Message": "Please"}}, "any"), "SlowDown"),
        (ClientError({"Error": {"Code": "ConditionalRequestConflict", "Message": "c"}}, "any"), "RequestConflict"),
        (EndpointConnectionError(endpoint_url="https://s3"), "EndpointConnectionError"),
    ],
)
@pytest.mark.parametrize(
    ("action", "size"),
    [
        ("put_object", 100),
        ("create_multipart_upload", len(BIG)),
        ("upload_part", len(BIG)),
        ("complete_multipart_upload", len(BIG)),
    ],
)
def test_what_s3_refuses_is_tried_again_and_leaves_nothing(
    bucket: str, action: str, size: int, error: Exception, reason: str
) -> None:
    stem = name("results/refused/1")
    store = Objects(Failing(action, error), bucket)  # type: ignore[arg-type]
    with pytest.raises(ResultUnstored, match=f"s3://{bucket}/{stem}: .*{reason}\\."):
        store.store_picture(stem, chunks(picture(size)), size)
    assert (keys(bucket, stem), open_uploads(bucket)) == ([], [])


def peak_of(work: Callable[[], Any]) -> int:
    """How much memory it needed at most."""
    tracemalloc.start()
    baseline, _ = tracemalloc.get_traced_memory()
    try:
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - baseline


def test_memory_does_not_grow_with_the_picture(store: Objects, bucket: str) -> None:
    size, block, stem = 60 * MIB, b"\1" * CHUNK, name("results/large/1")

    def generated() -> Iterator[bytes]:
        yield PNG_HEAD
        for _ in range(size // CHUNK):
            yield block[:-1] + b"\2"  # a new object each time, as from a socket
        yield PNG_END

    store.store_picture(name("results/warm/1"), chunks(picture(PART_BYTES + 1)), None)
    assert peak_of(lambda: store.store_picture(stem, generated(), None)) <= 16 * MIB
    found = store.picture(f"{stem}.png")
    assert found.bytes == size + len(PNG_HEAD) + len(PNG_END)
    assert peak_of(lambda: store.picture(f"{stem}.png")) <= 16 * MIB
    client("s3").delete_object(Bucket=bucket, Key=found.key)


def test_memory_does_not_grow_with_the_number_of_pictures(store: Objects, bucket: str) -> None:
    content, stems = picture(2 * PART_BYTES + 7), [name("results/many/1") for _ in range(10)]

    def store_all() -> None:
        with ThreadPoolExecutor(len(stems)) as pool:
            list(pool.map(lambda stem: store.store_picture(stem, chunks(content), None), stems))

    assert peak_of(store_all) <= 2 * SIDE_BY_SIDE * PART_BYTES + 8 * MIB
    for stem in stems:
        client("s3").delete_object(Bucket=bucket, Key=f"{stem}.png")


class Watched:
    """S3; ``on_part`` is called before a part is taken, and ``said`` is what was done, in its order."""

    def __init__(self, on_part: Callable[[], object]) -> None:
        self.said: list[str] = []
        self._on_part = on_part

    def __getattr__(self, action: str) -> Any:
        def watched(**request: Any) -> Any:
            if action == "upload_part":
                self._on_part()
            answer = getattr(client("s3"), action)(**request)
            self.said.append(action)
            return answer

        return watched


def test_the_next_part_is_gathered_while_one_is_sent(bucket: str) -> None:
    content, gathered = picture(PART_BYTES + 7), Event()
    s3 = Watched(lambda: gathered.wait(PATIENCE) or pytest.fail("nobody asked for the rest meanwhile"))

    def watched() -> Iterator[bytes]:
        yield from chunks(content)
        gathered.set()

    stored = Objects(s3, bucket).store_picture(name("results/ahead/1"), watched(), None)  # type: ignore[arg-type]
    assert stored.bytes == len(content)


def test_what_is_on_its_way_arrives_before_it_is_thrown_away(bucket: str) -> None:
    """S3 keeps, and bills, a part that comes after the abort."""
    broken = Event()
    s3 = Watched(lambda: broken.wait(PATIENCE) or pytest.fail("the source did not break"))

    def breaking() -> Iterator[bytes]:
        yield BIG[: PART_BYTES + 1]
        broken.set()
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        Objects(s3, bucket).store_picture(name("results/torn/1"), breaking(), None)  # type: ignore[arg-type]
    assert s3.said == ["create_multipart_upload", "upload_part", "abort_multipart_upload"]
    assert open_uploads(bucket) == []


def test_a_part_that_is_refused_ends_the_download(bucket: str) -> None:
    asked: list[int] = []

    def counted() -> Iterator[bytes]:
        yield PNG_HEAD
        for number in range(20):
            asked.append(number)
            yield bytes(PART_BYTES)

    refusing = Failing("upload_part", ClientError({"Error": {"Code": "SlowDown"}}, "UploadPart"))
    with pytest.raises(ResultUnstored, match="SlowDown"):
        Objects(refusing, bucket).store_picture(name("results/refused/1"), counted(), None)  # type: ignore[arg-type]
    assert len(asked) <= 4


@pytest.mark.parametrize(("suffix", "kind"), [("png", PictureFormat.PNG), ("jpg", PictureFormat.JPEG)])
def test_a_stored_picture_is_told_as_it_was_when_it_was_stored(
    store: Objects, bucket: str, suffix: str, kind: PictureFormat
) -> None:
    head, end = (PNG_HEAD, PNG_END) if suffix == "png" else (JPEG_HEAD, JPEG_END)
    stored = store.store_picture(name("results/kept/1"), chunks(picture(PART_BYTES + 3, head, end)), None)
    assert (stored.format, stored.key.rpartition(".")[2]) == (kind, suffix)
    assert store.picture(stored.key) == stored


def test_the_keys_of_a_job_are_its_own(store: Objects, bucket: str) -> None:
    mine = [f"results/keys-1/{file}" for file in ("1.png", "2.jpg", "result.json")]
    for key in (*mine, "results/keys-10/1.png", "results/keys-1.png"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    client("s3").put_object(Bucket=bucket, Key=mine[0], Body=b"another version")
    assert store.keys("results/keys-1/") == set(mine)
    client("s3").delete_object(Bucket=bucket, Key=mine[0])
    assert store.keys("results/keys-1/") == set(mine[1:])
    assert store.keys("results/nobody/") == frozenset()


def test_a_document_is_written_once_whoever_writes(store: Objects, bucket: str) -> None:
    key = name("results/once/result.json")
    with ThreadPoolExecutor(20) as pool:
        written = list(pool.map(lambda number: store.write_once(key, {"number": number, "é": "猫"}), range(20)))
    assert written.count(True) == 1
    text = store.read(key, MIB)
    assert text is not None
    assert json.loads(text) == {"number": written.index(True), "é": "猫"}
    assert "猫".encode() in text
    assert client("s3").head_object(Bucket=bucket, Key=key)["ContentType"] == "application/json"


@pytest.mark.parametrize("key", ["presets/a.json", "presets/a b+c%20&d=é/猫.json"])
def test_small_objects_are_read_up_to_a_limit(store: Objects, bucket: str, key: str) -> None:
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    assert store.read(key, 100) == b"0123456789"
    assert store.read(key, 4) == b"0123"
    assert store.read(f"{key}.gone", 4) is None
    client("s3").delete_object(Bucket=bucket, Key=key)
    assert store.read(key, 4) is None


class LongKeys:
    """S3's answer to a key of more than 1,024 bytes, which the engine takes (S3 API reference, "Error responses")."""

    def get_object(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": "KeyTooLongError", "Message": "Your key is too long"}}, "GetObject")


def test_a_key_that_cannot_be_names_no_object() -> None:
    assert Objects(LongKeys(), "any").read("presets/" + "x" * 1020, 4) is None  # type: ignore[arg-type]


def test_the_current_version_of_a_key(store: Objects, bucket: str) -> None:
    key = "inbox/pinned é+.png"
    client("s3").put_object(Bucket=bucket, Key=key, Body=picture())
    first = store.current(key)
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"<html>")
    second = store.current(key)
    assert first is not None
    assert second is not None
    assert (first.size, second.size) == (100, 6)
    assert first.etag == hashlib.md5(picture()).hexdigest()
    assert b"".join(store.chunks(first)) == picture()
    assert store.read_range(second, 0, 16) == b"<html>"
    client("s3").delete_object(Bucket=bucket, Key=key)
    assert store.current(key) is None
    assert b"".join(store.chunks(first)) == picture()


@pytest.mark.parametrize(
    ("start", "length", "found"),
    [(0, 4, b"0123"), (4, 3, b"456"), (7, 99, b"789"), (9, 1, b"9"), (10, 1, b""), (99, 4, b"")],
)
def test_ranges_of_the_pinned_version(store: Objects, bucket: str, start: int, length: int, found: bytes) -> None:
    key = name("inbox/ranges é+") + ".png"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    version = store.current(key)
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"another version")
    assert version is not None
    assert store.read_range(version, start, length) == found
    client("s3").delete_object(Bucket=bucket, Key=key)
    assert store.read_range(version, start, length) == found


def test_a_picture_is_inspected_where_it_lies(store: Objects, bucket: str) -> None:
    content = ODD_JPEGS["255 icc pieces"]
    client("s3").put_object(Bucket=bucket, Key="inbox/large.jpg", Body=content)
    version = store.current("inbox/large.jpg")
    assert version is not None
    assert version.size == len(content) > 15 * MIB
    facts = inspect(version.key, version.size, partial(store.read_range, version))
    assert facts == Facts(PictureFormat.JPEG, 48, 32, has_alpha=False)
    client("s3").delete_object(Bucket=bucket, Key=version.key)


def test_an_empty_object_has_no_range(store: Objects, bucket: str) -> None:
    client("s3").put_object(Bucket=bucket, Key="inbox/empty.png", Body=b"")
    version = store.current("inbox/empty.png")
    assert version is not None
    assert store.read_range(version, 0, 16) == b""


def test_a_range_of_a_version_that_is_gone_is_refused(store: Objects, bucket: str) -> None:
    key = name("inbox/gone") + ".png"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    version = store.current(key)
    assert version is not None
    client("s3").delete_object(Bucket=bucket, Key=key, VersionId=version.version_id)
    for gone in (version, version.model_copy(update={"version_id": None})):
        with pytest.raises(RecipeInvalid, match=f"^s3://{bucket}/{key}: found that this version was deleted"):
            store.read_range(gone, 0, 4)


def test_without_versions_what_was_replaced_is_refused(store: Objects, bucket: str) -> None:
    """In a bucket without versions the ETag tells one upload from the next."""
    key = name("inbox/replaced") + ".png"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    version = store.current(key)
    assert version is not None
    unversioned = version.model_copy(update={"version_id": None})
    assert store.read_range(unversioned, 0, 4) == b"0123"
    assert store.facts(unversioned).checksum == version.checksum
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"another one")
    said = f"^s3://{bucket}/{key}: found that this version was deleted or replaced"
    for read in (lambda: store.read_range(unversioned, 0, 4), lambda: store.facts(unversioned)):
        with pytest.raises(RecipeInvalid, match=said):
            read()


def test_what_happened_to_a_key_is_told_in_order(store: Objects, bucket: str) -> None:
    key = name("inbox/history") + ".png"
    ids = [client("s3").put_object(Bucket=bucket, Key=key, Body=b"%d" % n)["VersionId"] for n in range(3)]
    beside = client("s3").put_object(Bucket=bucket, Key=f"{key}.json", Body=b"{}")["VersionId"]
    client("s3").delete_object(Bucket=bucket, Key=f"{key}.json")
    found = store.history(key)
    assert set(found) == {key, f"{key}.json"}
    assert [put.version and put.version.version_id for put in found[key]] == ids
    assert [put.version and put.version.version_id for put in found[f"{key}.json"]] == [beside, None]
    assert [put.at for put in found[key]] == sorted(put.at for put in found[key])
    assert store.history(name("inbox/nothing")) == {}


def test_what_s3_says_of_an_object(store: Objects, bucket: str) -> None:
    key = name("inbox/facts") + ".png"
    client("s3").put_object(
        Bucket=bucket, Key=key, Body=b"abc", Metadata={"bb-n": "2", "season": "spring"}, ChecksumAlgorithm="SHA256"
    )
    version = store.current(key)
    assert version is not None
    facts = store.facts(version)
    assert (facts.metadata, facts.unsaid) == ({"bb-n": "2", "season": "spring"}, 0)
    assert facts.checksum == "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert (version.checksum, store.read_current(key, 2)) == (facts.checksum, (version, b"ab"))
    assert store.read_current(name("inbox/nothing"), 2) is None


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("MethodNotAllowed", "found that this version was deleted"),  # a delete marker
        ("InvalidObjectState", "found an archived object; allowed: one that can be read at once"),
        ("AccessDenied", "encrypted with a KMS key of yours"),
        ("KMS.DisabledException", "encrypted with a KMS key of yours"),
    ],
)
def test_an_object_that_cannot_be_read_is_refused(bucket: str, code: str, found: str) -> None:
    locked = Objects(Failing("get_object", ClientError({"Error": {"Code": code}}, "GetObject")), bucket)  # type: ignore[arg-type]
    with pytest.raises(RecipeInvalid, match=f"^s3://{bucket}/inbox/a.png: .*{found}"):
        locked.read_range(ObjectVersion(bucket=bucket, key="inbox/a.png"), 0, 4)


def test_another_fault_of_a_range_stays_a_fault(bucket: str) -> None:
    slow = Objects(Failing("get_object", ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")), bucket)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match="SlowDown"):
        slow.read_range(ObjectVersion(bucket=bucket, key="inbox/a.png"), 0, 4)


class Whole:
    """A store that answers a range with everything (RFC 9110, 14.2: a server may ignore it)."""

    def get_object(self, **asked: Any) -> Any:
        del asked["Range"]
        return client("s3").get_object(**asked)


@pytest.mark.parametrize("start", [0, 3, 2 * MIB, 3 * MIB, 4 * MIB])
def test_a_range_from_a_store_that_ignores_it(bucket: str, start: int) -> None:
    content = random.Random(7).randbytes(3 * MIB)
    client("s3").put_object(Bucket=bucket, Key="inbox/whole.png", Body=content)
    version = ObjectVersion(bucket=bucket, key="inbox/whole.png")
    assert Objects(Whole(), bucket).read_range(version, start, 10) == content[start : start + 10]  # type: ignore[arg-type]


def test_a_bucket_without_versions() -> None:
    plain = name("plain")
    client("s3").create_bucket(Bucket=plain)
    client("s3").put_object(Bucket=plain, Key="inbox/a.png", Body=picture())
    found = Objects(client("s3"), plain).current("inbox/a.png")
    assert found is not None
    assert found.version_id is None
    assert b"".join(Objects(client("s3"), plain).chunks(found)) == picture()


def test_another_fault_is_not_taken_for_a_missing_object() -> None:
    nowhere = Objects(client("s3"), "no-such-bucket-here")
    version = ObjectVersion(bucket="no-such-bucket-here", key="k")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.read("k", 1)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.read_range(version, 0, 1)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.write_once("k", {})
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.keys("k")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        nowhere.picture("k.png")


def test_a_picture_that_is_gone_is_a_fault(store: Objects) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        store.picture("results/gone/1.png")
