"""Spans as OTLP over HTTP takes them, in its JSON encoding, and the settings of the endpoint. Pure.

The encoding is that of `ExportTraceServiceRequest`: ids in hexadecimal digits, times and integers as texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from bitagent_operator.tracing.spans import Span, SpanEvent, Value

_BASE, _TRACES = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTERNAL, _ERROR = 1, 2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where traces are sent."""

    url: str
    headers: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The address as it may be logged: without a password or a key in it."""
        scheme, _, rest = self.url.partition("://")
        host, slash, path = rest.partition("?")[0].partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def endpoint_of(environment: Mapping[str, str]) -> Endpoint | None:
    """Return the endpoint that OpenTelemetry's variables name; None: no traces are sent.

    `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is the whole address, `OTEL_EXPORTER_OTLP_ENDPOINT` that of the collector;
    likewise `..._HEADERS`, as `name=value,name=value` with percent-encoded values.
    """
    url, base = environment.get(f"{_TRACES}ENDPOINT"), environment.get(f"{_BASE}ENDPOINT")
    if not url and base:
        url = f"{base.rstrip('/')}/v1/traces"
    if not url:
        return None
    headers: dict[str, str] = {}
    for prefix in (_BASE, _TRACES):
        for pair in environment.get(f"{prefix}HEADERS", "").split(","):
            name, found, value = pair.partition("=")
            if found:
                headers[name.strip()] = unquote(value.strip())
    return Endpoint(url, headers)


def request(spans: Iterable[Span], *, resource: Mapping[str, Value], scope: str, version: str) -> dict[str, Any]:
    """Return the document of one request."""
    scoped = {"scope": {"name": scope, "version": version}, "spans": [_span(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]}


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(span.end),
        "attributes": _attributes(span.attributes),
        "status": {} if span.error is None else {"code": _ERROR, "message": span.error},
    }
    if span.parent_id:
        found["parentSpanId"] = span.parent_id
    if span.events:
        found["events"] = [_event(event) for event in span.events]
    return found


def _event(event: SpanEvent) -> dict[str, Any]:
    found: dict[str, Any] = {"name": event.name, "timeUnixNano": _nanoseconds(event.at)}
    return found | ({"attributes": _attributes(event.attributes)} if event.attributes else {})


def _attributes(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}


def _nanoseconds(at: datetime) -> str:
    return str((at - _EPOCH) // timedelta(microseconds=1) * 1000)
