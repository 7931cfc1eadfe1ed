"""OTLP's JSON, held against the protocol's own definition."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bitagent_operator.tracing.otlp import Endpoint, endpoint_of, request
from bitagent_operator.tracing.spans import Span, SpanEvent

AT = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SPAN = Span(
    "0f" * 16,
    "1e" * 8,
    "2d" * 8,
    "evaluate a",
    AT,
    AT + timedelta(seconds=2),
    {"text": "x", "number": 7, "share": 0.5, "yes": True},
    (SpanEvent("stall", AT, {"reason": "r"}),),
    error="it failed",
)


def parsed(*spans: Span) -> ExportTraceServiceRequest:
    """The request as a collector reads it. Protobuf's own JSON has ids as base64, OTLP's as hexadecimal digits."""
    document = request(spans, resource={"service.name": "s"}, scope="scope", version="1")
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = b64encode(bytes.fromhex(span[name])).decode()
    return json_format.Parse(json.dumps(document), ExportTraceServiceRequest())


def test_a_collector_reads_what_was_meant() -> None:
    (resource,) = parsed(SPAN).resource_spans
    assert [(a.key, a.value.string_value) for a in resource.resource.attributes] == [("service.name", "s")]
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("scope", "1")
    (span,) = scope.spans
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == ("0f" * 16, "1e" * 8, "2d" * 8)
    assert span.start_time_unix_nano == 1_767_268_800_250_000_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 2_000_000_000
    values = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    assert values == {"text": "x", "number": 7, "share": 0.5, "yes": True}
    assert (span.status.code, span.status.message) == (2, "it failed")
    (event,) = span.events
    assert (event.name, event.time_unix_nano) == ("stall", span.start_time_unix_nano)


def test_a_span_without_parent_and_error() -> None:
    (span,) = parsed(Span("0f" * 16, "1e" * 8, "", "round r", AT, AT)).resource_spans[0].scope_spans[0].spans
    assert (span.parent_span_id, span.status.code, list(span.events)) == (b"", 0, [])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None, id="empty"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, Endpoint("http://c:4318/v1/traces", {}), id="a collector"
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://d"},
            Endpoint("http://c/x", {}),
            id="of traces",
        ),
        pytest.param(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_HEADERS": "a=b, authorization=Basic%20x%3D, bad",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a=c",
            },
            Endpoint("http://c/v1/traces", {"a": "c", "authorization": "Basic x="}),
            id="headers",
        ),
    ],
)
def test_the_endpoint_is_that_of_opentelemetrys_variables(
    environment: dict[str, str], expected: Endpoint | None
) -> None:
    assert endpoint_of(environment) == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("http://c:4318/v1/traces", "http://c:4318/v1/traces", id="nothing to hide"),
        pytest.param("https://me:word@c/v1/traces", "https://c/v1/traces", id="a password"),
        pytest.param("https://c/v1/traces?key=abc", "https://c/v1/traces", id="a key"),
        pytest.param("https://c?key=a/b@d", "https://c", id="a key with signs"),
    ],
)
def test_what_is_logged_of_an_address(url: str, shown: str) -> None:
    assert Endpoint(url, {}).shown == shown
