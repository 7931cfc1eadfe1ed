"""What a value in a template was made from, as far as the audit tells values apart."""

from __future__ import annotations

from enum import IntFlag


class Label(IntFlag):
    """A set of origins; a value of several origins has the restrictions of all of them."""

    CLEAN = 0
    """Constants, roles, positions, the number of messages."""
    MESSAGES = 1
    """The conversation, or some messages of it."""
    MESSAGE = 2
    """One message."""
    TEXT = 4
    """A message's text, whole or from marker to marker. Whether it is there at all is no secret; what it says is."""
    PART = 8
    """One element of a message's text: a part such as an image, or one character if the text is a string."""
    LENGTH = 16
    """The length of a text. Zero or not is no secret, all else is."""
    DERIVED = 32
    """Anything else that was made from a text. Nothing may depend on it."""
    CALLS = 64
    """The tool calls of an earlier answer, or one of them."""
    PIECES = 128
    """A list of texts, from marker to marker or part by part."""
    TOOLS = 256
    """The tools, one of them, or what its schema says."""
    NAMESPACE = 512
    """A namespace object: harmless by its attributes, which are looked up by name; as a whole it is what any of them is."""


SECRET = Label.TEXT | Label.PART | Label.PIECES | Label.LENGTH | Label.DERIVED
"""What depends on the words of a message."""

CONVERSATION = SECRET | Label.MESSAGES | Label.MESSAGE | Label.CALLS
"""What comes from the messages."""

SCHEMA_WORDS = frozenset(
    [
        "string",
        "str",
        "number",
        "integer",
        "int",
        "float",
        "double",
        "boolean",
        "bool",
        "object",
        "dict",
        "array",
        "list",
        "tuple",
        "null",
        "none",
        "any",
        "function",
        "type",
        "properties",
        "required",
        "enum",
        "description",
        "name",
        "items",
        "default",
        "parameters",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "const",
        "format",
        "title",
        "$ref",
        "$defs",
        "strict",
        "nullable",
        "additionalProperties",
        "minimum",
        "maximum",
        "pattern",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "returns",
        "return",
        "response",
        "code_interpreter",
        "retrieval",
        "file_search",
        "input_schema",
        "arguments",
        "String",
        "Integer",
        "Float",
        "Boolean",
        "Array",
        "Object",
    ]
)
"""Words of schemas. A template may ask whether a type is "array"; whether a tool is called like a task's function it may not."""

PART_KEYS = frozenset({"type", "text", "image", "image_url", "video", "audio", "content", "input_audio"})
"""Members of a part; all longer than a character, so that none is `in` a character."""

CALL_STRUCTURE = frozenset({"function", "tool_calls"})
ALWAYS_CLEAN = frozenset({"role", "id", "tool_call_id", "index"})


def derived(label: Label) -> Label:
    """The label of something new that was made of it."""
    return label & ~SECRET | Label.DERIVED if label & SECRET else label
