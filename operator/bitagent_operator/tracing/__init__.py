"""Traces: a finished round as spans, and their way to an OpenTelemetry collector."""
