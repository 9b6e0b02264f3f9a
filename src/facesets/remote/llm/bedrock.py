"""Anthropic's models on Amazon Bedrock: InvokeModel, and batch inference jobs over S3.

References
----------
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from facesets.descriptions.asking import (
    BatchState,
    Doubtful,
    LostBatch,
    NotSent,
    Outcome,
    PhotoQuestion,
    Reply,
    request_name,
)
from facesets.descriptions.prices import Model
from facesets.errors import MissingExtra, WrongUsage
from facesets.files import printable
from facesets.remote.access import json_or_none
from facesets.remote.llm.messages import body, reply_of
from facesets.remote.llm.server import WAITS_S, until_taken
from facesets.remote.retry import Pause, TransientError

_VERSION = "bedrock-2023-05-31"
_FOLDER = "facesets"
_MIN_RECORDS = 100
"""Minimum records of a batch inference job, by Bedrock's default quota."""
_UNDONE = frozenset(
    {
        *("ThrottlingException", "ServiceUnavailableException", "ModelNotReadyException"),
        *("TooManyRequestsException", "SlowDown", "ServiceQuotaExceededException"),
    }
)
_REFUSED = frozenset(
    {
        *("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", "AccessDenied"),
        *("InvalidSignatureException", "InvalidClientTokenId", "ExpiredToken", "NoSuchBucket"),
    }
)
_FAILED = frozenset({"InternalServerException", "InternalError"})
"""Errors without a charged answer; but a job may exist."""
_ENDED = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})
"""Jobs in unknown states are waited for, because sending again would be charged again."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3's clients of the services that are used; the last two for batches only."""

    runtime: Any
    control: Any
    s3: Any


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """The bucket and role for batches."""

    bucket: str
    role: str


def bedrock(model: Model, *, region: str, profile: str, bucket: str, role: str, pause: Pause) -> "Bedrock":
    """Connect to Bedrock with the credentials of this machine. Nothing is sent yet.

    Raises
    ------
    MissingExtra
        boto3 is not installed.
    WrongUsage
        Region or profile are missing or unknown, or only a half of what batches need is set.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError as error:
        raise MissingExtra("describe") from error
    if bool(bucket) != bool(role):
        raise WrongUsage("Batches need both BEDROCK_BATCH_S3_BUCKET and BEDROCK_BATCH_ROLE_ARN. Set both.")
    # We retry ourselves, as boto3 would resend requests that may have been charged.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=15, read_timeout=600)
    try:
        session = boto3.Session(region_name=region or None, profile_name=profile or None)
        if session.region_name is None:
            raise WrongUsage("Missing region. Set AWS_REGION, such as us-east-1.")
        clients = Clients(
            *(session.client(name, config=config) for name in ("bedrock-runtime", "bedrock", "s3"))
        )
    except BotoCoreError as error:
        raise WrongUsage(f"Amazon Bedrock cannot be used: {printable(str(error))}") from error
    place = BatchPlace(bucket, role) if bucket else None
    return Bedrock(clients, model, session.region_name, place, pause=pause)


class Bedrock:
    """A `Provider`: one region of Amazon Bedrock."""

    name = "bedrock"
    is_local = False
    least = _MIN_RECORDS
    at_once = 4

    def __init__(
        self,
        clients: Clients,
        model: Model,
        region: str,
        batch_place: BatchPlace | None,
        *,
        pause: Pause,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        """Store the region. Raises `WrongUsage` if the model does not accept Anthropic's messages."""
        if "anthropic." not in model.name and not model.name.startswith("arn:"):
            raise WrongUsage(
                f"BEDROCK_MODEL_ID {printable(model.name)} is not a model of Anthropic. Set it to a "
                "model such as global.anthropic.claude-haiku-5-5."
            )
        self.model = model
        self.place = f"Amazon Bedrock in {region}"
        self._clients = clients
        self._batch_place = batch_place
        self._pause = pause
        self._waits_s = waits_s

    @property
    def batches(self) -> "Bedrock | None":
        """Return the provider itself, if a bucket for batches is set."""
        return self if self._batch_place is not None else None

    def close(self) -> None:
        """Close all connections."""
        for client in (self._clients.runtime, self._clients.control, self._clients.s3):
            client.close()

    def ask(self, question: PhotoQuestion) -> Reply:
        """Ask one question and wait for the reply; errors as `Provider.ask`."""
        began = time.monotonic()
        invoke = partial(
            self._clients.runtime.invoke_model,
            modelId=self.model.name,
            contentType="application/json",
            accept="application/json",
            body=json.dumps(self._message(question)).encode(),
        )
        try:
            answer = self._tried(partial(_read, invoke, "body"))
        except Doubtful as error:
            return Reply(Outcome.DOUBTFUL, reason=f"{error}; it may have been charged")
        except _Invalid as error:
            return Reply(Outcome.FREE, reason=error.reason, lasting=True)
        return reply_of(json_or_none(answer), duration_s=time.monotonic() - began)

    def send_batch(self, key: str, questions: Sequence[PhotoQuestion]) -> str:
        """Send a batch: upload its records to S3, then create the job. Errors as `Batches.send_batch`."""
        place = self._place()
        records = [
            json.dumps({"recordId": request_name(key, each.sha256), "modelInput": self._message(each)})
            for each in questions
        ]
        path = f"{_FOLDER}/{key}/input.jsonl"
        data = ("\n".join(records) + "\n").encode()
        try:
            # Records alone cost nothing, so an upload can simply be repeated.
            self._tried(partial(self._clients.s3.put_object, Bucket=place.bucket, Key=path, Body=data))
        except Doubtful as error:
            raise NotSent(f"The batch did not reach S3: {error}. Run the same command again.") from error
        except _Invalid as error:
            raise NotSent(f"S3 rejected the batch: {error.reason}") from error
        create = partial(
            self._clients.control.create_model_invocation_job,
            jobName=_job_name(key),
            clientRequestToken=key,
            roleArn=place.role,
            modelId=self.model.name,
            inputDataConfig={
                "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": f"s3://{place.bucket}/{path}"}
            },
            outputDataConfig={
                "s3OutputDataConfig": {"s3Uri": f"s3://{place.bucket}/{_FOLDER}/{key}/output/"}
            },
        )
        return self._created(create)

    def _created(self, create: Callable[[], Mapping[str, Any]]) -> str:
        """Create a job once per token and return its name; errors as `send_batch`."""
        failures: list[_Failed] = []

        def once() -> Mapping[str, Any]:
            try:
                return self._once(create)
            except _Failed as fault:
                failures.append(fault)
                raise

        try:
            return str(until_taken(self.place, once, self._waits_s, self._pause)["jobArn"])
        except (NotSent, WrongUsage, _Invalid) as error:
            if failures:
                raise Doubtful(failures[0].reason) from error
            if isinstance(error, _Invalid):
                raise NotSent(f"{self.place} rejected the batch: {error.reason}") from error
            raise

    def find_batch(self, batch: LostBatch) -> tuple[str | None, bool]:
        """Find a job by name."""
        name = _job_name(batch.key)
        found = self._known(
            partial(self._clients.control.list_model_invocation_jobs, nameContains=name, maxResults=10)
        )
        jobs = [job["jobArn"] for job in found.get("invocationJobSummaries", []) if job["jobName"] == name]
        return (jobs[0], True) if jobs else (None, True)

    def batch_state(self, batch_id: str) -> BatchState:
        """Return the state of a job."""
        try:
            found = self._tried(self._job(batch_id))
        except _Invalid:
            return BatchState.UNKNOWN
        except Doubtful as error:
            raise NotSent(f"{self.place} is not responding. Run the same command again later.") from error
        status = found.get("status")
        return BatchState.ENDED if status in _ENDED else BatchState.UNDER_WAY

    def without_result(self, batch_id: str) -> Reply:
        """Explain a missing result from the job's state."""
        job = self._known(self._job(batch_id))
        message = printable(str(job.get("message") or "ended without a result for it"))[:300]
        outcome = Outcome.DOUBTFUL if job.get("status") == "Completed" else Outcome.FREE
        return Reply(outcome, reason=f"the job {job.get('status')}: {message}")

    def results(self, batch_id: str, key: str) -> Iterator[tuple[str, Reply]]:
        """Return the results of an ended job from its own output location."""
        job = self._known(self._job(batch_id))
        uri = str(job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        listed = self._known(partial(self._clients.s3.list_objects_v2, Bucket=bucket, Prefix=prefix))
        for found in listed.get("Contents", []):
            if not str(found["Key"]).endswith(".jsonl.out"):
                continue
            get = partial(self._clients.s3.get_object, Bucket=bucket, Key=found["Key"])
            for line in self._known(partial(_read, get, "Body")).splitlines():
                record = json_or_none(line)
                if isinstance(record, Mapping) and str(record.get("recordId", "")).startswith(f"{key}-"):
                    yield str(record["recordId"]), _result(record)

    def _job(self, batch_id: str) -> Callable[[], Mapping[str, Any]]:
        return partial(self._clients.control.get_model_invocation_job, jobIdentifier=batch_id)

    def _message(self, question: PhotoQuestion) -> dict[str, Any]:
        return {"anthropic_version": _VERSION, **body(question, self.model)}

    def _place(self) -> BatchPlace:
        if self._batch_place is None:
            raise ValueError("batches without a bucket")
        return self._batch_place

    def _known(self, call: Callable[[], Result]) -> Result:
        """Return the answer to a free request. Raises `NotSent`, `WrongUsage`."""
        try:
            return self._tried(call)
        except Doubtful as error:
            raise NotSent(f"{self.place} is not responding. Run the same command again later.") from error
        except _Invalid as error:
            raise NotSent(f"{self.place} did not return the state of batches: {error.reason}") from error

    def _tried(self, call: Callable[[], Result]) -> Result:
        return until_taken(self.place, partial(self._once, call), self._waits_s, self._pause)

    def _once(self, call: Callable[[], Result]) -> Result:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            HTTPClientError,
            IncompleteReadError,
        )

        try:
            return call()
        except ClientError as error:
            raise self._meaning(error.response.get("Error", {})) from error
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise TransientError("no connection") from error
        except (HTTPClientError, IncompleteReadError) as error:
            raise Doubtful("no answer came") from error
        except BotoCoreError as error:
            raise WrongUsage(f"{self.place} cannot be used: {printable(str(error))}") from error

    def _meaning(self, error: Mapping[str, Any]) -> Exception:
        code, message = str(error.get("Code", "")), printable(str(error.get("Message", "")))[:300]
        if code in _FAILED:
            return _Failed(f"it returned {code} ({message})")
        if code in _UNDONE:
            return TransientError(f"it returned {code} ({message})")
        if code in _REFUSED:
            return WrongUsage(f"{self.place} denied access to this account: {message} ({code}).")
        if code == "ModelTimeoutException":
            return Doubtful("the model took too long")
        if code == "ResourceNotFoundException":
            return _Invalid(message or code)
        return _Invalid(message or code or "rejected without a reason")


class _Failed(TransientError):
    """Bedrock failed in an unknown state."""


class _Invalid(Exception):
    """Bedrock rejected one request, which is not charged."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _read(call: Callable[[], Any], field: str) -> bytes:
    data: bytes = call()[field].read()
    return data


def _job_name(key: str) -> str:
    return f"facesets-{key}"


def _result(record: Mapping[str, Any]) -> Reply:
    if "modelOutput" in record:
        return reply_of(record["modelOutput"])
    error = record.get("error")
    if not isinstance(error, Mapping):
        return Reply(Outcome.DOUBTFUL, reason="its result is unknown; it may have been charged")
    message = printable(str(error.get("errorMessage", "without a reason")))[:300]
    return Reply(Outcome.FREE, reason=message, lasting=error.get("errorCode") in {400, 413})
