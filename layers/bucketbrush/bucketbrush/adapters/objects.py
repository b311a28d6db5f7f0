"""S3: small documents read and written whole, pictures streamed with bounded memory."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from bucketbrush.domain.errors import PictureUnreadable, RecipeInvalid, ResultUnstored
from bucketbrush.domain.jobs import ObjectVersion
from bucketbrush.domain.pictures import HEAD_BYTES, TAIL_BYTES, PictureFormat, describe, is_whole, sniff
from bucketbrush.domain.result import Picture

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PART_BYTES = 5 * 1024 * 1024  # the smallest part that S3 takes ("Multipart upload limits")
CHUNK_BYTES = 64 * 1024
MAX_PICTURE_BYTES = 256 * 1024 * 1024

_GONE = "found that this version was deleted; allowed: one that is there."
_LOCKED = (
    "found that this stack may not read it, as when it is encrypted with a KMS key of yours; "
    "allowed: SSE-S3, or a key whose policy lets the submit function decrypt."
)
_UNREADABLE = {
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion", "MethodNotAllowed"), _GONE),
    **dict.fromkeys(("AccessDenied", "KMS"), _LOCKED),
    "InvalidObjectState": "found an archived object; allowed: one that can be read at once (restore it first).",
}


class Objects:
    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, key: str, most: int) -> bytes | None:
        """The first ``most`` bytes of a small object, or None when there is no such object."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "KeyTooLongError"):
                return None
            raise
        with answer["Body"] as body:
            return body.read(most)

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
        if version.version_id:
            options["VersionId"] = version.version_id
        try:
            return self._client.get_object(Bucket=version.bucket, Key=version.key, **options)
        except ClientError as error:
            reason = "KMS" if _code(error).startswith("KMS.") else _code(error)
            if problem := _UNREADABLE.get(reason):
                raise RecipeInvalid(f"{version.uri}: {problem}") from None
            raise

    def current(self, key: str) -> ObjectVersion | None:
        """The version that a key names now, or None."""
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _code(error) in ("404", "NoSuchKey"):
                return None
            raise
        return ObjectVersion(
            bucket=self._bucket,
            key=key,
            version_id=answer.get("VersionId"),
            etag=answer["ETag"].strip('"'),
            size=answer["ContentLength"],
        )

    def write_once(self, key: str, document: dict[str, Any]) -> bool:
        """Write a JSON document unless the key is taken; False when it is."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=json.dumps(document, indent=2, ensure_ascii=False).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
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
        sha256, received = hashlib.sha256(), 0
        # Entered itself, it would give the bare response, which does not notice that bytes are missing.
        with closing(answer["Body"]) as body:
            for chunk in body.iter_chunks(PART_BYTES):
                sha256.update(chunk)
                received += len(chunk)
        kind = PictureFormat(key.rpartition(".")[2])
        return Picture(key=key, bytes=received, format=kind, sha256=sha256.hexdigest())

    def store_picture(self, stem: str, chunks: Iterator[bytes], announced: int | None) -> Picture:
        """Stream one picture to ``stem`` + its format's suffix, never over an existing object.

        Holds one part of 5 MiB, gathered or on its way. ``announced`` is the length in bytes that the sender promised,
        if it did. One that is there already is what is returned. Raises PictureUnreadable (too large) and
        ResultUnstored (incomplete, no picture, refused by S3: to be fetched again); after either, or any other error,
        nothing is left behind.
        """
        upload = _Upload(self._client, self._bucket, stem, announced)
        try:
            for chunk in chunks:
                upload.add(chunk)
            picture, is_new = upload.finish()
            return picture if is_new else self.picture(picture.key)
        except (ClientError, BotoCoreError) as error:
            upload.abort()
            raise ResultUnstored(f"s3://{self._bucket}/{stem}: {_reason(error)}.") from None
        except BaseException:
            upload.abort()
            raise


class _Upload:
    """One picture on its way: bytes are gathered to parts, and only a whole picture is ever completed."""

    def __init__(self, client: "S3Client", bucket: str, stem: str, announced: int | None) -> None:
        self._client = client
        self._bucket = bucket
        self._stem = stem
        self._announced = announced
        self._buffer: Any = bytearray()  # boto3 sends it without a copy; its stubs do not say so
        self._tail = b""
        self._received = 0
        self._hash = hashlib.sha256()
        self._format: PictureFormat | None = None
        self._upload_id = ""
        self._etags: list[str] = []

    def add(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if max(self._received, self._announced or 0) > MAX_PICTURE_BYTES:
            raise PictureUnreadable(f"result: found more than {MAX_PICTURE_BYTES:,} bytes; allowed: at most that many.")
        self._hash.update(chunk)
        self._tail = (self._tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        rest = memoryview(chunk)
        while rest:
            if len(self._buffer) == PART_BYTES:
                self._send_part()
            room = PART_BYTES - len(self._buffer)
            self._buffer += rest[:room]
            rest = rest[room:]
            if len(self._buffer) >= HEAD_BYTES:
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
        return Picture(key=self._key, bytes=self._received, format=kind, sha256=self._hash.hexdigest()), is_new

    def abort(self) -> None:
        """Also a refused completion leaves the upload open, and S3 bills open parts."""
        if self._upload_id:
            # Best effort on the way out of an error: the bucket's lifecycle rule removes what stays.
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)

    @property
    def _key(self) -> str:
        return f"{self._stem}.{self._format}"

    def _recognise(self) -> PictureFormat:
        if self._format is None:
            head = bytes(self._buffer[:HEAD_BYTES])
            self._format = sniff(head)
            if self._format is None:
                # Not for good: the edge was seen to answer a good link with a page for a while.
                raise ResultUnstored(f"result: found {describe(head)}; allowed: PNG or JPEG.")
        return self._format

    def _send_part(self) -> None:
        if not self._upload_id:
            created = self._client.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType=self._recognise().content_type
            )
            self._upload_id = created["UploadId"]
        part, self._buffer = self._buffer, bytearray()
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=len(self._etags) + 1,
            Body=part,
        )
        self._etags.append(answer["ETag"])

    def _complete(self) -> None:
        if not self._upload_id:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=self._buffer,
                ContentType=self._recognise().content_type,
                IfNoneMatch="*",
            )
            return
        self._send_part()
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": n} for n, tag in enumerate(self._etags, 1)]},
            IfNoneMatch="*",
        )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _is_taken(error: ClientError) -> bool:
    return _code(error) == "PreconditionFailed"


def _reason(error: Exception) -> str:
    return _code(error) if isinstance(error, ClientError) else type(error).__name__
