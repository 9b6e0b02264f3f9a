"""Amazon Bedrock, by botocore's own description of its requests and answers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from facesets.descriptions.asking import (
    BatchState,
    Doubtful,
    LostBatch,
    NotSent,
    Outcome,
    PhotoQuestion,
    request_name,
)
from facesets.descriptions.prices import model_named
from facesets.errors import WrongUsage
from facesets.remote.llm.bedrock import BatchPlace, Bedrock, Clients
from tests.fixtures.described import no_wait
from tests.fixtures.llm_server import an_answer, check_schema, no_more_than

MODEL = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"
ROLE = "arn:aws:iam::123456789012:role/describe"
KEY = "0123456789abcdef"
SHA = "ab" * 32
QUESTION = PhotoQuestion(SHA, b"\xff\xd8jpeg", 100, 80, "What is it?")


@pytest.fixture
def clients() -> Clients:
    session = boto3.Session("nobody", "nothing", region_name="us-east-1")
    return Clients(*(session.client(name) for name in ("bedrock-runtime", "bedrock", "s3")))


@pytest.fixture
def stubs(clients: Clients) -> Iterator[tuple[Stubber, Stubber, Stubber]]:
    runtime, control, s3 = (Stubber(each) for each in (clients.runtime, clients.control, clients.s3))
    with runtime, control, s3:
        yield runtime, control, s3
        for each in (runtime, control, s3):
            each.assert_no_pending_responses()


@pytest.fixture
def provider(clients: Clients) -> Bedrock:
    return Bedrock(
        clients,
        model_named(MODEL, {}),
        "us-east-1",
        BatchPlace("my-bucket", ROLE),
        pause=no_wait,
        waits_s=(0.0, 0.0),
    )


def message(**changes: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "content": [{"type": "text", "text": json.dumps(an_answer())}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1000, "output_tokens": 200},
    } | changes


def streamed(data: bytes) -> StreamingBody:
    return StreamingBody(BytesIO(data), len(data))


def job(status: str) -> dict[str, Any]:
    return {
        "jobArn": ARN,
        "modelId": MODEL,
        "roleArn": ROLE,
        "status": status,
        "submitTime": datetime.now(UTC),
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://my-bucket/x"}},
        "outputDataConfig": {
            "s3OutputDataConfig": {"s3Uri": f"s3://an-earlier-bucket/facesets/{KEY}/output/"}
        },
    }


def invoked(stub: Stubber, answer: dict[str, Any]) -> None:
    body = streamed(json.dumps(answer).encode())
    expected = {
        "modelId": MODEL,
        "body": ANY,
        "contentType": "application/json",
        "accept": "application/json",
    }
    stub.add_response("invoke_model", {"body": body, "contentType": "application/json"}, expected)


def test_a_question_is_a_message_without_the_models_name(
    provider: Bedrock, stubs: tuple[Stubber, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    invoked(stubs[0], message())
    sent: list[dict[str, Any]] = []
    invoke = provider._clients.runtime.invoke_model

    def noted(**given: Any) -> Any:
        sent.append(json.loads(given["body"]))
        return invoke(**given)

    monkeypatch.setattr(provider._clients.runtime, "invoke_model", noted)
    reply = provider.ask(QUESTION)
    assert reply.outcome is Outcome.ANSWERED
    assert reply.answer is not None
    assert (reply.usage.input, reply.usage.output) == (1000, 200)
    (body,) = sent
    no_more_than(body, "anthropic_version", "max_tokens", "messages", "output_config")
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    check_schema(body["output_config"]["format"]["schema"])


def test_throttled_requests_are_repeated_and_lost_answers_are_not(
    provider: Bedrock, stubs: tuple[Stubber, ...]
) -> None:
    runtime = stubs[0]
    runtime.add_client_error("invoke_model", "ThrottlingException", http_status_code=429)
    invoked(runtime, message())
    assert provider.ask(QUESTION).outcome is Outcome.ANSWERED
    runtime.add_client_error("invoke_model", "ModelTimeoutException", http_status_code=408)
    assert provider.ask(QUESTION).outcome is Outcome.DOUBTFUL
    runtime.add_client_error("invoke_model", "ValidationException", "image too odd", http_status_code=400)
    reply = provider.ask(QUESTION)
    assert (reply.outcome, reply.lasting, reply.reason) == (Outcome.FREE, True, "image too odd")
    runtime.add_client_error("invoke_model", "AccessDeniedException", "no access", http_status_code=403)
    with pytest.raises(WrongUsage, match="no access"):
        provider.ask(QUESTION)
    for _ in range(3):
        runtime.add_client_error("invoke_model", "ThrottlingException", http_status_code=429)
    with pytest.raises(NotSent, match="ThrottlingException"):
        provider.ask(QUESTION)


def test_a_batch_goes_through_s3_and_is_found_by_name(provider: Bedrock, stubs: tuple[Stubber, ...]) -> None:
    _, control, s3 = stubs
    path = f"facesets/{KEY}/input.jsonl"
    s3.add_response("put_object", {}, {"Bucket": "my-bucket", "Key": path, "Body": ANY})
    control.add_response(
        "create_model_invocation_job",
        {"jobArn": ARN},
        {
            "jobName": f"facesets-{KEY}",
            "clientRequestToken": KEY,
            "roleArn": ROLE,
            "modelId": MODEL,
            "inputDataConfig": {
                "s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": f"s3://my-bucket/{path}"}
            },
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://my-bucket/facesets/{KEY}/output/"}},
        },
    )
    assert provider.batches is not None
    assert provider.send_batch(KEY, [QUESTION]) == ARN
    listed = {
        "jobArn": ARN,
        "jobName": f"facesets-{KEY}",
        "modelId": MODEL,
        "roleArn": ROLE,
        "submitTime": datetime.now(UTC),
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://my-bucket/x"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://my-bucket/x"}},
    }
    asked = {"nameContains": f"facesets-{KEY}", "maxResults": 10}
    control.add_response("list_model_invocation_jobs", {"invocationJobSummaries": [listed]}, asked)
    lost = LostBatch(KEY, 1, datetime.now(UTC))
    assert provider.find_batch(lost) == (ARN, True)
    control.add_response("list_model_invocation_jobs", {"invocationJobSummaries": []}, asked)
    assert provider.find_batch(lost) == (None, True)


@pytest.mark.parametrize(
    "then", ["InternalServerException", "ThrottlingException", "ConflictException", "AccessDeniedException"]
)
def test_a_failed_request_for_a_job_may_have_created_it(
    provider: Bedrock, stubs: tuple[Stubber, ...], then: str
) -> None:
    _, control, s3 = stubs
    tries = 3 if then in ("InternalServerException", "ThrottlingException") else 2
    s3.add_response("put_object", {})
    for code in ["InternalServerException", *[then] * (tries - 1)]:
        control.add_client_error("create_model_invocation_job", code)
    with pytest.raises(Doubtful, match="InternalServerException"):
        provider.send_batch(KEY, [QUESTION])


def test_a_rejected_job_is_certainly_unsent(provider: Bedrock, stubs: tuple[Stubber, ...]) -> None:
    _, control, s3 = stubs
    s3.add_response("put_object", {})
    for _ in range(3):
        control.add_client_error("create_model_invocation_job", "ThrottlingException")
    with pytest.raises(NotSent, match="ThrottlingException"):
        provider.send_batch(KEY, [QUESTION])


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("InProgress", BatchState.UNDER_WAY),
        ("Scheduled", BatchState.UNDER_WAY),
        ("Stopping", BatchState.UNDER_WAY),
        ("of a later version", BatchState.UNDER_WAY),
        ("Completed", BatchState.ENDED),
        ("PartiallyCompleted", BatchState.ENDED),
        ("Stopped", BatchState.ENDED),
        ("Failed", BatchState.ENDED),
        ("Expired", BatchState.ENDED),
    ],
)
def test_a_jobs_state_is_read(
    provider: Bedrock, stubs: tuple[Stubber, ...], status: str, state: BatchState
) -> None:
    found = job(status)
    stubs[1].add_response("get_model_invocation_job", found, {"jobIdentifier": ARN})
    assert provider.batch_state(ARN) is state
    found["message"] = "the role may not read"
    stubs[1].add_response("get_model_invocation_job", found, {"jobIdentifier": ARN})
    reply = provider.without_result(ARN)
    assert reply.reason == f"the job {status}: the role may not read"
    assert reply.outcome is (Outcome.DOUBTFUL if status == "Completed" else Outcome.FREE)


def test_results_are_read_from_the_bucket(provider: Bedrock, stubs: tuple[Stubber, ...]) -> None:
    _, control, s3 = stubs
    control.add_response("get_model_invocation_job", job("Completed"), {"jobIdentifier": ARN})
    name = f"facesets/{KEY}/output/abcdefghijkl/input.jsonl.out"
    s3.add_response(
        "list_objects_v2",
        {"Contents": [{"Key": name}, {"Key": f"facesets/{KEY}/output/abcdefghijkl/manifest.json.out"}]},
        {"Bucket": "an-earlier-bucket", "Prefix": f"facesets/{KEY}/output/"},
    )
    records = [
        {"recordId": request_name(KEY, SHA), "modelInput": {}, "modelOutput": message()},
        {"recordId": request_name(KEY, "cd" * 32), "error": {"errorCode": 400, "errorMessage": "odd"}},
        {"recordId": request_name(KEY, "ef" * 32), "error": {"errorCode": 500, "errorMessage": "busy"}},
        {"recordId": request_name(KEY, "01" * 32), "modelInput": {}},
        {"recordId": "another", "modelOutput": message()},
    ]
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records) + b"{broken\n"
    s3.add_response("get_object", {"Body": streamed(data)}, {"Bucket": "an-earlier-bucket", "Key": name})
    replies = [reply for _, reply in provider.results(ARN, KEY)]
    assert [(each.outcome, each.lasting) for each in replies] == [
        (Outcome.ANSWERED, False),
        (Outcome.FREE, True),
        (Outcome.FREE, False),
        (Outcome.DOUBTFUL, False),
    ]


def test_only_anthropics_models_are_asked(clients: Clients) -> None:
    with pytest.raises(WrongUsage, match="not a model of Anthropic"):
        Bedrock(clients, model_named("amazon.nova-lite-v1:0", {}), "us-east-1", None, pause=no_wait)


def test_models_that_stay_in_a_region_cost_a_tenth_more() -> None:
    there, here = (model_named(f"{region}{MODEL[7:]}", {}).price for region in ("global.", "us."))
    assert there is not None
    assert here is not None
    assert here.input == there.input * 11 / 10
