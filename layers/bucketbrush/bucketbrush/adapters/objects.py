"""S3: small documents read and written whole, pictures streamed with bounded memory."""

import hashlib
import json
import unicodedata
from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from operator import itemgetter
from queue import LifoQueue
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from botocore.exceptions import BotoCoreError, ClientError

from bucketbrush.domain.companions import Put
from bucketbrush.domain.errors import PictureUnreadable, RecipeInvalid, ResultUnstored
from bucketbrush.domain.jobs import ObjectVersion
from bucketbrush.domain.pictures import (
    HEAD_BYTES,
    TAIL_BYTES,
    PictureFormat,
    Pixels,
    describe,
    is_whole,
    pixels,
    sniff,
)
from bucketbrush.domain.result import Picture

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

_Buffers: TypeAlias = list[Any]  # bytearrays, which boto3 sends without a copy; its stubs do not say so
Tags: TypeAlias = Mapping[str, str | None]
NO_TAGS: Tags = MappingProxyType({})
PART_BYTES = 5 * 1024 * 1024  # the smallest part that S3 takes ("Multipart upload limits")
CHUNK_BYTES = 64 * 1024
MAX_PICTURE_BYTES = 256 * 1024 * 1024
SIDE_BY_SIDE = 3  # pictures that are stored at once

_BUFFERS = 2  # for the parts of each: one is gathered while the other is sent
_TAG_UNITS = 256  # of UTF-16, like the letters below (S3 User Guide, "Categorizing your objects using tags")
_TAG_SIGNS = " +-=._:/@"

_GONE = "found that this version was deleted or replaced; allowed: one that is there."
_LOCKED = (
    "found that this stack may not read it, as when it is encrypted with a KMS key of yours; "
    "allowed: SSE-S3, or a key whose policy lets the submit function decrypt."
)
_UNREADABLE = {
    **dict.fromkeys(
        ("NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "PreconditionFailed", "404", "405", "412"), _GONE
    ),
    **dict.fromkeys(("AccessDenied", "KMS", "403"), _LOCKED),
    "InvalidObjectState": "found an archived object; allowed: one that can be read at once (restore it first).",
}


# The strongest first; an object has one, S3's own default being CRC-64/NVME (User Guide, "Checking object integrity").
_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32")


@dataclass(frozen=True)
class Facts:
    """What S3 says of an object version. ``unsaid`` is how much of its metadata S3 cannot say in a header."""

    metadata: Mapping[str, str]
    unsaid: int
    checksum: str | None


class Objects:
    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        # Kept and used again: what many threads allocate and free stays with the process, in a heap for each.
        self._buffers: LifoQueue[_Buffers] = LifoQueue()
        for _ in range(SIDE_BY_SIDE):
            self._buffers.put([])

    def read(self, key: str, most: int) -> bytes | None:
        """The first ``most`` bytes of a small object, or None when there is no such object."""
        found = self.read_current(key, most)
        return found and found[1]

    def read_current(self, key: str, most: int) -> tuple[ObjectVersion, bytes] | None:
        """The version that a key names now, and its first ``most`` bytes; None when there is no such object."""
        try:
            with _readable(f"s3://{self._bucket}/{key}", missing=False):
                answer = self._client.get_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "KeyTooLongError"):
                return None
            raise
        with answer["Body"] as body:
            return self._version(key, answer), body.read(most)

    def read_range(self, version: ObjectVersion, start: int, length: int) -> bytes:
        """At most ``length`` bytes of one object version from byte ``start``, b"" beyond its end.

        Raises RecipeInvalid when the version is gone, archived or not readable for this stack.
        """
        try:
            answer = self._get(version, Range=f"bytes={start}-{start + length - 1}")
        except ClientError as error:
            if _code(error) == "InvalidRange":
                return b""
            raise
        with closing(answer["Body"]) as body:
            surplus = 0 if "ContentRange" in answer else start  # a store may answer a range with everything
            while surplus and (passed := body.read(min(surplus, CHUNK_BYTES))):
                surplus -= len(passed)
            content: bytes = body.read(length)
        return content

    def chunks(self, version: ObjectVersion) -> Iterator[bytes]:
        """The bytes of one object version, in pieces. Raises as ``read_range`` does."""
        body = self._get(version)["Body"]
        with closing(body):
            yield from body.iter_chunks(CHUNK_BYTES)

    def _get(self, version: ObjectVersion, **options: Any) -> Any:
        with _readable(version.uri):
            return self._client.get_object(Bucket=version.bucket, Key=version.key, **_pin(version), **options)

    def current(self, key: str) -> ObjectVersion | None:
        """The version that a key names now, or None."""
        try:
            with _readable(f"s3://{self._bucket}/{key}", missing=False):
                answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) in ("404", "NoSuchKey"):
                return None
            raise
        return self._version(key, answer)

    def _listed(self, item: Any) -> ObjectVersion | None:
        """The version that a list names; None for a deletion."""
        if "ETag" not in item:
            return None
        etag = item["ETag"].strip('"')
        return ObjectVersion(
            bucket=self._bucket, key=item["Key"], version_id=item["VersionId"], etag=etag, size=item["Size"]
        )

    def _version(self, key: str, answer: Any) -> ObjectVersion:
        return ObjectVersion(
            bucket=self._bucket,
            key=key,
            version_id=answer.get("VersionId"),
            etag=answer["ETag"].strip('"'),
            size=answer["ContentLength"],
            checksum=_checksum(answer),
        )

    def facts(self, version: ObjectVersion) -> Facts:
        """What S3 says of one object version. Raises as ``read_range`` does."""
        place: Any = {"Bucket": version.bucket, "Key": version.key, **_pin(version)}
        with _readable(version.uri):
            answer = self._client.head_object(**place, ChecksumMode="ENABLED")
        return Facts(answer["Metadata"], answer.get("MissingMeta", 0), _checksum(answer))

    def history(self, key: str) -> Mapping[str, list[Put]]:
        """What happened to the key, and to every other that begins with it, the oldest first (an empty list for none).

        S3 lists the versions of a key the newest first (API reference, "ListObjectVersions").
        """
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=key)
        listed: list[Any] = []
        for page in pages:
            listed += [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        found: defaultdict[str, list[Put]] = defaultdict(list)
        listed.reverse()
        # Versions and deletions of one second: the latest is marked, the others stand as S3 lists them.
        for item in sorted(listed, key=itemgetter("LastModified", "IsLatest")):
            found[item["Key"]].append(Put(int(item["LastModified"].timestamp()), self._listed(item)))
        return found

    def write_once(self, key: str, document: dict[str, Any], tags: Tags = NO_TAGS) -> bool:
        """Write a JSON document unless the key is taken; False when it is."""
        content = json.dumps(document, indent=2, ensure_ascii=False).encode()
        return self._is_first(
            self._client.put_object,
            Key=key,
            Body=content,
            ChecksumSHA256=_base64(hashlib.sha256(content).digest()),
            **_tagging(tags),
            ContentType="application/json",
            IfNoneMatch="*",
        )

    def write_page(self, key: str, html: str, tags: Tags = NO_TAGS) -> None:
        """Write a page in place of the one that may be there."""
        content = html.encode()
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=content,
            ChecksumSHA256=_base64(hashlib.sha256(content).digest()),
            **_tagging(tags),
            ContentType="text/html; charset=utf-8",
        )

    def copy_once(self, version: ObjectVersion, key: str, content_type: str, tags: Tags = NO_TAGS) -> bool:
        """Copy an object version to ``key``, within S3 and without its metadata, which may hold a prompt.

        Unless the key is taken; False when it is.
        """
        source: CopySourceTypeDef = {"Bucket": version.bucket, "Key": version.key}
        if version.version_id:
            source["VersionId"] = version.version_id
        return self._is_first(
            self._client.copy_object,
            Key=key,
            CopySource=source,
            MetadataDirective="REPLACE",
            ContentType=content_type,
            TaggingDirective="REPLACE",
            **_tagging(tags),
            ChecksumAlgorithm="SHA256",
            IfNoneMatch="*",
        )

    def _is_first(self, write: Callable[..., object], **request: Any) -> bool:
        """Whether the key of a conditional write was free."""
        try:
            write(Bucket=self._bucket, **request)
        except ClientError as error:
            if _is_taken(error):
                return False
            raise
        return True

    def keys(self, prefix: str) -> frozenset[str]:
        """The keys that begin with ``prefix``, at most 1,000."""
        answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix)
        return frozenset(item["Key"] for item in answer.get("Contents", []))

    def picture(self, key: str) -> Picture:
        """A picture that is stored already; it is read through once for its hash, with bounded memory."""
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        kind = PictureFormat(key.rpartition(".")[2])
        sha256, received, size = hashlib.sha256(), 0, None
        # Entered itself, it would give the bare response, which does not notice that bytes are missing.
        with closing(answer["Body"]) as body:
            for chunk in body.iter_chunks(PART_BYTES):
                size = size if received else pixels(kind, chunk)
                sha256.update(chunk)
                received += len(chunk)
        return Picture(key=key, bytes=received, format=kind, pixels=size, sha256=sha256.hexdigest())

    def store_picture(self, stem: str, chunks: Iterator[bytes], announced: int | None, tags: Tags = NO_TAGS) -> Picture:
        """Stream one picture to ``stem`` + its format's suffix, never over an existing object.

        Holds two parts of 5 MiB: while one is sent, by threads that end with this call, the next is gathered. Of any
        number of callers SIDE_BY_SIDE have their turn at once. ``announced`` is the length in bytes that the sender
        promised, if it did. One that is there already is what is returned. Raises PictureUnreadable (too large) and
        ResultUnstored (incomplete, no picture, refused by S3: to be fetched again); after either, or any other error,
        nothing is left behind.
        """
        buffers = self._buffers.get()
        try:
            with ThreadPoolExecutor(_BUFFERS) as senders:
                return self._store(_Upload(self._client, self._bucket, stem, announced, tags, senders, buffers), chunks)
        except (ClientError, BotoCoreError) as error:
            raise ResultUnstored(f"s3://{self._bucket}/{stem}: {reason_of(error)}.") from None
        finally:
            self._buffers.put(buffers)

    def _store(self, upload: "_Upload", chunks: Iterator[bytes]) -> Picture:
        try:
            for chunk in chunks:
                upload.add(chunk)
            picture, is_new = upload.finish()
            return picture if is_new else self.picture(picture.key)
        except BaseException:
            upload.abort()
            raise


class _Upload:
    """One picture on its way: bytes are gathered to parts, and only a whole picture is ever completed."""

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        stem: str,
        announced: int | None,
        tags: Tags,
        senders: Executor,
        buffers: _Buffers,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._stem = stem
        self._senders = senders
        self._buffers = buffers
        self._announced = announced
        self._tagging = _tagging(tags)
        self._tail = b""
        self._received = 0
        self._hash = hashlib.sha256()
        self._format: PictureFormat | None = None
        self._pixels: Pixels | None = None
        self._upload_id = ""
        self._sending: deque[Future[CompletedPartTypeDef]] = deque()
        self._parts: list[CompletedPartTypeDef] = []
        self._buffer, self._filled = self._free_buffer(), 0

    def add(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if max(self._received, self._announced or 0) > MAX_PICTURE_BYTES:
            raise PictureUnreadable(f"result: found more than {MAX_PICTURE_BYTES:,} bytes; allowed: at most that many.")
        self._tail = (self._tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        rest = memoryview(chunk)
        while rest:
            if self._filled == PART_BYTES:
                self._send_part()
                self._buffer, self._filled = self._free_buffer(), 0
            end = min(self._filled + len(rest), PART_BYTES)
            piece, rest = rest[: end - self._filled], rest[end - self._filled :]
            self._buffer[self._filled : end] = piece
            self._filled = end
            if not self._upload_id:  # the other parts are hashed while they are sent
                self._hash.update(piece)
            if self._filled >= HEAD_BYTES:
                self._recognise()

    def finish(self) -> tuple[Picture, bool]:
        """The picture, and whether it is stored by this upload: another may have been first."""
        if not self._received:
            raise ResultUnstored("result: found no bytes.")
        if self._announced is not None and self._received != self._announced:
            raise ResultUnstored(f"result: found {self._received:,} of {self._announced:,} announced bytes.")
        kind = self._recognise()
        # Also when the length is the announced one: the sender may have announced what it had.
        if not is_whole(kind, self._tail):
            raise ResultUnstored(f"result: found {self._received:,} bytes without the end of a {kind.name} picture.")
        is_new = True
        try:
            self._complete()
        except ClientError as error:
            if not _is_taken(error):
                raise
            self.abort()
            is_new = False
        sha256 = self._hash.hexdigest()
        return Picture(key=self._key, bytes=self._received, format=kind, pixels=self._pixels, sha256=sha256), is_new

    def abort(self) -> None:
        """Also a refused completion leaves the upload open, and S3 bills open parts."""
        # A part that arrives after the abort would stay (API reference, "AbortMultipartUpload").
        wait(self._sending)
        if self._upload_id:
            # Best effort on the way out of an error: the bucket's lifecycle rule removes what stays.
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)

    @property
    def _key(self) -> str:
        return f"{self._stem}.{self._format}"

    def _recognise(self) -> PictureFormat:
        if self._format is None:
            head = bytes(self._buffer[: min(self._filled, HEAD_BYTES)])
            self._format = sniff(head)
            if self._format is None:
                # Not for good: the edge was seen to answer a good link with a page for a while.
                raise ResultUnstored(f"result: found {describe(head)}; allowed: PNG or JPEG.")
        return self._format

    def _look(self) -> str:
        """Note how large the picture is, by its first part; the content type that its object gets."""
        kind = self._recognise()
        self._pixels = pixels(kind, self._buffer)
        return kind.content_type

    def _send_part(self) -> None:
        """Have what is gathered sent; meanwhile it is hashed, if it is not yet, and the next part is gathered."""
        del self._buffer[self._filled :]
        if not self._upload_id:
            created = self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                ContentType=self._look(),
                ChecksumAlgorithm="SHA256",
                **self._tagging,
            )
            self._upload_id = created["UploadId"]
        number = self._begun + 1
        known = self._hash.digest() if number == 1 else None
        self._sending.append(self._senders.submit(self._upload_part, number, self._buffer, known))
        if number > 1:
            self._hash.update(self._buffer)

    @property
    def _begun(self) -> int:
        """How many parts are sent, or on their way."""
        return len(self._parts) + len(self._sending)

    def _free_buffer(self) -> Any:
        """The one whose part has arrived, which is waited for."""
        if len(self._sending) == _BUFFERS:
            self._sent()
        place = self._begun % _BUFFERS
        if place == len(self._buffers):
            # At its full size at once: where it would move from while it grew would stay with the process.
            self._buffers.append(bytearray(PART_BYTES))
        return self._buffers[place]

    def _sent(self) -> None:
        """Wait for the oldest part on its way."""
        self._parts.append(self._sending.popleft().result())

    def _upload_part(self, number: int, content: Any, known: bytes | None) -> "CompletedPartTypeDef":
        checksum = _base64(known or hashlib.sha256(content).digest())
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=content,
            ChecksumSHA256=checksum,
        )
        return {"ETag": answer["ETag"], "PartNumber": number, "ChecksumSHA256": checksum}

    def _complete(self) -> None:
        if not self._upload_id:
            del self._buffer[self._filled :]
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=self._buffer,
                ContentType=self._look(),
                ChecksumSHA256=_base64(self._hash.digest()),
                **self._tagging,
                IfNoneMatch="*",
            )
            return
        self._send_part()
        while self._sending:
            self._sent()
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},
            IfNoneMatch="*",
        )


def _pin(version: ObjectVersion) -> dict[str, Any]:
    """What makes S3 answer with this version or not at all; in a bucket without versions its ETag does."""
    if version.version_id:
        return {"VersionId": version.version_id}
    return {"IfMatch": f'"{version.etag}"'} if version.etag else {}


@contextmanager
def _readable(uri: str, *, missing: bool = True) -> Iterator[None]:
    """Raises RecipeInvalid for what only the one who put it there can mend; ``missing`` says if its absence is such."""
    try:
        yield
    except ClientError as error:
        reason = "KMS" if _code(error).startswith("KMS.") else _code(error)
        problem = _UNREADABLE.get(reason)
        if problem and (missing or problem is not _GONE):
            raise RecipeInvalid(f"{uri}: {problem}") from None
        raise


def _checksum(answer: Any) -> str | None:
    found = ((name.lower(), answer.get(f"Checksum{name}")) for name in _CHECKSUMS)
    return next((f"{name}:{value}" for name, value in found if value), None)


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def _tagging(tags: Tags) -> dict[str, Any]:
    """Tags as S3 wants them: what it does not take becomes ``_``, and one without a value is left out."""
    given = {name: _tag(value) for name, value in tags.items() if value}
    return {"Tagging": urlencode(given, quote_via=quote)} if given else {}


def _tag(value: str) -> str:
    plain = unicodedata.normalize("NFC", value)
    clean = "".join(sign if sign.isalnum() or sign in _TAG_SIGNS else "_" for sign in plain)
    return clean.encode("utf-16-le")[: 2 * _TAG_UNITS].decode("utf-16-le", "ignore")


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _is_taken(error: ClientError) -> bool:
    return _code(error) == "PreconditionFailed"


def reason_of(error: Exception) -> str:
    """The code of a refusal, else the name of the error; unlike their texts, neither can hold a prompt."""
    return _code(error) if isinstance(error, ClientError) else type(error).__name__
