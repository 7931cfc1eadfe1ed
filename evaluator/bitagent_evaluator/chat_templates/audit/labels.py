"""Labels of the taint analysis: where a value in a template comes from, and the variables that carry labels.

A variable has the labels of everything that is ever assigned to it, in any order; the analysis is repeated until no
label is added. Loops and macros have scopes of their own, as in Jinja.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.chat_templates.render import SPECIAL_TOKEN_NAMES, THINKING_NAMES


class Label(IntFlag):
    """A set of origins; a value of several origins is restricted like each of them."""

    CLEAN = 0
    """Constants, roles, positions, the number of messages."""
    MESSAGES = 1
    """The conversation, or some messages of it."""
    MESSAGE = 2
    """One message."""
    TEXT = 4
    """A message's text, whole or from marker to marker. Whether it exists may be used, its words may not."""
    PART = 8
    """One element of a message's text: a part such as an image, or one character if the text is a string."""
    LENGTH = 16
    """The length of a text. Whether it is zero may be used, nothing else."""
    DERIVED = 32
    """Put together from texts, or cut at markers. Whether there is any may be used, and markers in it."""
    CALLS = 64
    """The tool calls of an earlier answer, or one of them."""
    PIECES = 128
    """A list of texts, from marker to marker or part by part."""
    TOOLS = 256
    """The tools, one of them, or a part of its schema."""
    NAMESPACE = 512
    """A namespace object. Its attributes have labels of their own; as a whole it has the labels of all of them."""
    COMPUTED = 1024
    """A number, character, cut or changed form of a text. Nothing may depend on it."""
    COUNT = 2048
    """A number that depends on the tools. Whether it is zero or one may be used, and whether two are equal."""
    MARKER_LENGTH = 4096
    """The length of a marker, by which templates find markers at the ends of a text."""


SECRET = Label.TEXT | Label.PART | Label.PIECES | Label.LENGTH | Label.DERIVED | Label.COMPUTED
"""Labels that depend on the words of a message."""

CONVERSATION = SECRET | Label.MESSAGES | Label.MESSAGE | Label.CALLS
"""Labels that come from the messages."""

SCHEMA_WORDS = frozenset(
    {
        "string", "str", "number", "integer", "int", "float", "double", "boolean", "bool", "object", "dict",
        "array", "list", "tuple", "null", "none", "any", "function", "type", "properties", "required", "enum",
        "description", "name", "items", "default", "parameters", "anyOf", "oneOf", "allOf", "not", "const",
        "format", "title", "$ref", "$defs", "strict", "nullable", "additionalProperties", "minimum", "maximum",
        "pattern", "minItems", "maxItems", "minLength", "maxLength", "returns", "return", "response",
        "code_interpreter", "retrieval", "file_search", "input_schema", "arguments", "String", "Integer", "Float",
        "Boolean", "Array", "Object", "defer_loading", "defalut_value", "example", "examples", "optional", "value",
        "integers", "strings", "numbers", "schema", "json_schema", "definitions", "prefixItems", "uniqueItems",
        "key", "values", "date", "date-time", "time", "email", "uri", "uuid", "return_parameters", "return_type",
        "function_call", "tool", "custom", "uint64", "int64", "int32", "text", "tools", "$schema", "readOnly",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "few_shot_examples", "propertyNames", "deprecated",
        "length", "citations", "parameter_definitions", "inputSchema", "outputSchema", "output_schema",
        "minProperties", "maxProperties", "patternProperties", "unevaluatedProperties", "dependentRequired",
        "writeOnly", "None", "True", "False", "true", "false",
    }
)  # fmt: skip
"""Words of schemas. A template may ask whether a type is "array", but not what a task's function is called."""

PART_KEYS = frozenset(
    {
        "type", "text", "image", "image_url", "video", "video_url", "audio", "audio_url", "content", "input_audio",
        "thinking", "file", "document", "data", "time", "timestamps", "time_series", "tool_use", "tool_result",
        "tool_call", "tool_calls", "tool_response", "refusal", "output_text", "input_text", "reasoning", "images",
        "num_frames", "frames", "url", "path", "source", "json", "image_pil", "video_frames", "parts", "blocks",
        "content_blocks", "files",
    }
)  # fmt: skip
"""Members and types of a part of a message. All are longer than a character, so that none is `in` a character."""

PART_WORDS = PART_KEYS | {"name", "value", "response", "arguments", "id", "role"}
"""What a template may look for in a part of a message."""

BUILTIN_TOOLS = frozenset(
    {
        "python", "ipython", "browser", "browsers", "brave_search", "wolfram_alpha", "code_interpreter", "web_search",
        "simple_browser", "dalle", "retrieval", "plugin", "observation", "prefill", "display_answers",
    }
)  # fmt: skip
"""Names of tools that a family of models has built in. No task has a tool of these names."""

CALL_STRUCTURE = frozenset({"function", "tool_calls", "function_calls"})
"""Members of a message that lead to its tool calls."""
ALWAYS_CLEAN = frozenset(
    {"role", "id", "tool_call_id", "index", "type", "from", "task", "recipient", "channel", "weight", "prefix"}
)
"""Members of a message or a call that say nothing about its words."""


def derive(label: Label) -> Label:
    """Return the label of a value put together from a labelled one."""
    if label & (Label.COMPUTED | Label.LENGTH):
        return compute(label)
    return label & ~SECRET | Label.DERIVED if label & SECRET else label


def compute(label: Label) -> Label:
    """Return the label of a number or a changed form of a labelled value."""
    return label & ~SECRET | Label.COMPUTED if label & SECRET else label


def soften(label: Label) -> Label:
    """Return the label of a text that is written as often as something labelled occurs."""
    found = label & ~(Label.COMPUTED | Label.LENGTH | Label.COUNT)
    if label & (Label.COMPUTED | Label.LENGTH):
        found |= Label.DERIVED
    return found | Label.TOOLS if label & Label.COUNT else found


PREDEFINED = frozenset(
    {
        *SPECIAL_TOKEN_NAMES,
        *THINKING_NAMES,
        "messages",
        "tools",
        "documents",
        "add_generation_prompt",
        "loop",
        "caller",
        "varargs",
        "kwargs",
    }
)
"""Names that have, or may have, a value without an assignment.

Special tokens are the miner's own words, so they do not count as harmless constants.
"""


@dataclass
class Variable:
    """One variable."""

    label: Label = Label.CLEAN
    constants: set[Any] | None = field(default_factory=set)
    """The constants that it may hold; None if it may hold something else."""


class Scopes:
    """The variables of one template; `changed` is set whenever a label or a constant is added."""

    def __init__(self) -> None:
        self._all: dict[int, dict[str, Variable]] = {0: {}}
        self._open = [0]
        self._attributes: dict[str, Label] = {}
        self.changed = False
        for name, label in (("messages", Label.MESSAGES), ("tools", Label.TOOLS)):
            self.assign(name, label, None)

    @contextmanager
    def enter(self, node: nodes.Node) -> Iterator[None]:
        """Open the scope that belongs to a node of the template."""
        self._all.setdefault(id(node), {})
        self._open.append(id(node))
        yield
        self._open.pop()

    def assign(self, name: str, label: Label, constants: set[Any] | None, *, scope: nodes.Node | None = None) -> None:
        """Add a value to a variable of the innermost scope, or of the scope that belongs to the node `scope`."""
        key = self._open[-1] if scope is None else id(scope)
        variable = self._all.setdefault(key, {}).setdefault(name, Variable())
        held = None if variable.constants is None or constants is None else variable.constants | constants
        if label | variable.label != variable.label or held != variable.constants:
            variable.label |= label
            variable.constants = held
            self.changed = True

    def find(self, name: str) -> Variable | None:
        """Return the variable that a name stands for in the open scopes."""
        return next((self._all[scope][name] for scope in reversed(self._open) if name in self._all[scope]), None)

    def assign_attribute(self, name: str, label: Label) -> None:
        """Add a value to the attribute `name` of all namespaces, so that no alias hides it."""
        before = self._attributes.get(name, Label.CLEAN)
        if before | label != before:
            self._attributes[name] = before | label
            self.changed = True

    def attribute(self, name: object) -> Label:
        """Return the label of an attribute of any namespace; that of all attributes if the name is unknown."""
        if isinstance(name, str):
            return self._attributes.get(name, Label.CLEAN)
        found = Label.CLEAN
        for label in self._attributes.values():
            found |= label
        return found
