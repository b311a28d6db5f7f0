"""Where a batch is kept and told: its row, the files that report on it, and its announcement."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from bucketbrush.adapters.announcements import Bus, Topic
from bucketbrush.domain.batches import Batch, BatchAnnouncement
from bucketbrush.domain.errors import BatchBusy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

_SECONDS_PER_DAY = 86_400
_PART_BYTES = 5 * 1024 * 1024  # the smallest part that S3 takes ("Multipart upload limits")
_SEEN = ("turn", "owner", "lease_until")


class Batches:
    """The batches table: one row per batch, for ``keep_days``, written only by whoever holds its turn."""

    def __init__(self, client: "DynamoDBClient", table: str, keep_days: int) -> None:
        self._client = client
        self._table = table
        self._keep_days = keep_days

    def create(self, batch: Batch) -> Batch:
        """Write a new row, or leave the one that stands there; the row as it stands then."""
        try:
            self._put(batch, "attribute_not_exists(batch_id)")
        except ClientError as error:
            return _standing(error)
        return batch

    def get(self, batch_id: str) -> Batch | None:
        """The row as it is now (a strongly consistent read), or None."""
        answer = self._client.get_item(TableName=self._table, Key={"batch_id": {"S": batch_id}}, ConsistentRead=True)
        return _to_batch(answer["Item"]) if "Item" in answer else None

    def change(self, batch: Batch, **changes: Any) -> Batch:
        """Write the batch as it stands, with ``changes``, if nobody has taken its turn since it was read.

        Raises BatchBusy when somebody has.
        """
        changed = batch.model_copy(update=changes)
        seen = {f":seen_{name}": getattr(batch, name) for name in _SEEN}
        try:
            self._put(changed, " AND ".join(f"#{name} = :seen_{name}" for name in _SEEN), seen)
        except ClientError as error:
            # A write that boto3 repeated after a lost answer finds its own work done.
            if _standing(error) != changed:
                raise BatchBusy(f"batch {batch.batch_id}: another invocation has changed it meanwhile.") from None
        return changed

    def _put(self, batch: Batch, condition: str, values: dict[str, Any] | None = None) -> None:
        expires_at = batch.created_at + self._keep_days * _SECONDS_PER_DAY
        given: Any = {}
        if values:
            given["ExpressionAttributeNames"] = {f"#{name}": name for name in _SEEN}
            given["ExpressionAttributeValues"] = _to_item(values)
        self._client.put_item(
            TableName=self._table,
            Item=_to_item({**batch.model_dump(exclude_none=True), "expires_at": expires_at}),
            ConditionExpression=condition,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **given,
        )


class Reports:
    """The results bucket, for files about a batch."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def write_once(self, key: str, content_type: str, pieces: Iterable[bytes]) -> bool:
        """Write an object unless the key is taken; False when it is. Holds one part of 5 MiB.

        Nothing is left behind by an error.
        """
        upload = _Upload(self._client, self._bucket, key, content_type)
        try:
            for piece in pieces:
                upload.add(piece)
            upload.finish()
        except BaseException as error:
            upload.abort()
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise
        return True

    def read(self, key: str) -> bytes:
        """A whole object."""
        with self._client.get_object(Bucket=self._bucket, Key=key)["Body"] as body:
            content: bytes = body.read()
        return content


class _Upload:
    """An object on its way: bytes are gathered to parts; one that is smaller than a part is put at once."""

    def __init__(self, client: "S3Client", bucket: str, key: str, content_type: str) -> None:
        self._client = client
        self._place: Any = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._buffer: Any = bytearray()  # boto3 sends it without a copy; its stubs do not say so
        self._upload: Any = {}
        self._parts: list[Any] = []

    def add(self, piece: bytes) -> None:
        self._buffer += piece
        if len(self._buffer) >= _PART_BYTES:
            self._send_part()

    def finish(self) -> None:
        if not self._upload:
            content: Any = {"Body": self._buffer, "ContentType": self._content_type}
            self._client.put_object(**self._place, **content, IfNoneMatch="*")
            return
        if self._buffer:
            self._send_part()
        self._client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*")

    def abort(self) -> None:
        """Also a refused completion leaves the upload open, and S3 bills open parts."""
        if self._upload:
            try:
                self._client.abort_multipart_upload(**self._upload)
            except (ClientError, BotoCoreError):
                return  # the bucket's lifecycle rule removes what stays

    def _send_part(self) -> None:
        if not self._upload:
            made = self._client.create_multipart_upload(
                **self._place, ContentType=self._content_type, ChecksumAlgorithm="SHA256"
            )
            self._upload = {**self._place, "UploadId": made["UploadId"]}
        part, self._buffer = self._buffer, bytearray()
        number, checksum = len(self._parts) + 1, b64encode(hashlib.sha256(part).digest()).decode()
        answer = self._client.upload_part(**self._upload, PartNumber=number, Body=part, ChecksumSHA256=checksum)
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number, "ChecksumSHA256": checksum})


class BatchAnnouncements:
    """Tells how a batch ended: one event and one SNS message with the same content."""

    def __init__(self, topic: Topic, bus: Bus) -> None:
        self._topic = topic
        self._bus = bus

    def tell(self, announcement: BatchAnnouncement, letter: str) -> None:
        """At least once, the same bytes every time. Raises AnnouncementFailed when EventBridge refuses the event."""
        message = announcement.model_dump_json()
        names = ("outcome", "reason", "folder")
        # People come last: whatever fails before is not mailed again and again.
        self._bus.put("Image Batch Completed", message)
        self._topic.publish(
            subject=f"Bucketbrush batch {announcement.outcome}: {announcement.batch_id}",
            message=message,
            letter=letter,
            attributes={"kind": "batch", **{name: getattr(announcement, name) for name in names}},
        )


def _standing(error: ClientError) -> Batch:
    """The row that a condition was refused for; raises every other error."""
    item: Any = error.response.get("Item")
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException" or not item:
        raise error
    return _to_batch(item)


def _to_item(row: dict[str, Any]) -> dict[str, Any]:
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in row.items()}


def _to_batch(item: dict[str, Any]) -> Batch:
    deserializer = TypeDeserializer()
    return Batch.model_validate({name: deserializer.deserialize(value) for name, value in item.items()})
