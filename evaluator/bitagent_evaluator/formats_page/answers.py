"""Example answers: what each syntax reads, what the formats have in common, what is unreadable, what fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax, ParsedAnswer, parse_answer
from bitagent_evaluator.scoring.bfcl import check_text

SYNTAX_EXAMPLES: Mapping[AnswerSyntax, tuple[str, ...]] = {
    AnswerSyntax.PYTHON: (
        '[f(a=1), g(b="x")]',
        "f(a=1)",
        "```\n[f(a=1)]\n```",
        "[m.f(a=[1, 2.5], b={'c': True})]",
    ),
    AnswerSyntax.TOOL_CALL_BLOCKS: (
        '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
        'Let me see.\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "g", "arguments": {}}\n</tool_call>',
        '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}',
        "<tool_call>{'name': 'f', 'arguments': {'a': 1}}</tool_call>",
    ),
    AnswerSyntax.FUNCTION_TAGS: (
        '<function=f>{"a": 1}</function>',
        "<function=f>\n<parameter=a>\n1\n</parameter>\n</function>",
        "<tool_call>\n<function=f>\n<parameter=b>\nx y\n</parameter>\n</function>\n</tool_call>",
    ),
    AnswerSyntax.ARGUMENT_TAGS: (
        "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
        "<tool_call>f</tool_call>\n<tool_call>g<arg_key>b</arg_key><arg_value>x y</arg_value></tool_call>",
        "<tool_call>f<tool_sep><arg_key>a</arg_key><arg_value>1</arg_value></tool_call>",
    ),
    AnswerSyntax.INVOKE_TAGS: (
        '<minimax:tool_call>\n<invoke name="f">\n<parameter name="a">1</parameter>\n</invoke>\n</minimax:tool_call>',
        '<｜DSML｜invoke name="f"><｜DSML｜parameter name="b" string="true">7</｜DSML｜parameter></｜DSML｜invoke>',
        '<function name="f"><param name="a">1</param></function>',
        "<invoke name=f><a>1</a><b><item>x</item><item>y</item></b></invoke>",
        '<|open|>call tool="f" index="1"<|sep|><|open|>argument key="a" type="integer"<|sep|>1<|close|>argument<|sep|>',
    ),
    AnswerSyntax.MISTRAL_CALLS: (
        '[TOOL_CALLS]f[ARGS]{"a": 1}',
        '[TOOL_CALLS]f{"a": 1}',
        '[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}',
    ),
    AnswerSyntax.NAMED_CALLS: (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        '<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>',
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>',
        '>>>all\nI look.\n>>>f\n{"a": 1}',
        '<|recipient|>f\n<|content|>{"a": 1}',
        '<|tools_prefix|>[{"f": {"a": 1}}]<|tools_suffix|>',
        'f\n{"a": 1}',
    ),
    AnswerSyntax.GEMMA_CALLS: (
        "<start_function_call>call:f{a:1,b:<escape>x y<escape>}<end_function_call>",
        '<|tool_call>call:f{a:[1,2],b:{c:<|"|>x<|"|>}}<tool_call|>',
    ),
    AnswerSyntax.PYTHON_BLOCKS: (
        "<function_calls>\nf(a=1)\ng(b='x')\n</function_calls>",
        "<|tool_call_start|>[f(a=1)]<|tool_call_end|>",
        "```tool_code\nprint(default_api.f(a=1))\n```",
        "f(a=1)\ng(b='x')",
        "[f(a=1)]<|eot|>",
        "Call: f(a=1); g(b='x')<bot_end>\nThought: f fits.",
        "<<<api_call>>>: f(a=1)\n<<<api_provider>>>: me",
        "<<function>>f(a=1)<<function>>g(b='x')",
        "I look it up:\nf.call(a=1)",
        "The call:\n\n[f(a=1)]",
    ),
    AnswerSyntax.REACT: (
        'Thought: f fits.\nAction: f\nAction Input: {"a": 1}\nObservation: done',
        "Action: f\nAction Input: a=1, b='x'",
        '✿FUNCTION✿: f\n✿ARGS✿: {"a": 1}\n✿RESULT✿',
        '{"action": "f", "action_input": {"a": 1}}',
        'Action: ```json\n[{"tool_name": "f", "parameters": {"a": 1}}]\n```',
    ),
    AnswerSyntax.TOOL_CALLS: (
        '{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}',
        '{"thought": "", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}',
        '{"function_call": {"name": "f", "arguments": "{}"}}',
    ),
    AnswerSyntax.JSON_LIST: (
        '[{"name": "f", "arguments": {"a": 1}}]',
        '{"name": "f", "parameters": {"a": 1}}',
        '{"name": "f", "arguments": {}}; {"name": "functions.g", "arguments": {}}',
        '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]',
        '<|python_tag|>{"type": "function", "function": "f", "parameters": {"a": 1}}',
        '{"type": "tool_use", "name": "f", "input": {"a": 1}}',
    ),
    AnswerSyntax.FUNCTION_PARAMS: (
        '{"function": "f", "params": {"a": 1}}',
        "```yaml\n- function: f\n  params:\n    a: 1\n```",
    ),
    AnswerSyntax.REWOO: (
        "Plan: Find it.\n#E1 = f[a=1]",
        "Plan: Find it. :evidence1: = f(a=1)",
        "#E1 = f[some text]",
    ),
}
"""Answers that a syntax reads, in prompt formats that accept it."""

VLLM_PARSERS: Mapping[AnswerSyntax, tuple[str, ...]] = {
    AnswerSyntax.PYTHON: ("pythonic",),
    AnswerSyntax.PYTHON_BLOCKS: ("lfm2", "llama4_pythonic", "olmo3"),
    AnswerSyntax.TOOL_CALL_BLOCKS: ("ernie45", "granite", "granite4", "hermes", "qwen3_json"),
    AnswerSyntax.FUNCTION_TAGS: ("mimo", "qwen3_coder", "qwen3_xml", "seed_oss", "step3p5"),
    AnswerSyntax.ARGUMENT_TAGS: ("glm45", "glm47", "hy_v3", "hy_v4", "k2_horizon", "ling3", "poolside_v1"),
    AnswerSyntax.INVOKE_TAGS: (
        "deepseek_v32",
        "deepseek_v4",
        "deepseek_v41",
        "dots",
        "kimi_k3",
        "minicpm5",
        "minimax_m2",
        "minimax_m3",
        "muse_glimmer",
        "step3",
    ),
    AnswerSyntax.MISTRAL_CALLS: ("mistral",),
    AnswerSyntax.NAMED_CALLS: ("apertus", "deepseek_v3", "deepseek_v31", "kimi_k2", "openai", "plamo3"),
    AnswerSyntax.GEMMA_CALLS: ("functiongemma", "gemma4"),
    AnswerSyntax.REACT: ("cohere_command3", "cohere_command4"),
    AnswerSyntax.JSON_LIST: (
        "gigachat3",
        "granite-20b-fc",
        "hunyuan_a13b",
        "inkling",
        "internlm",
        "jamba",
        "llama3_json",
        "llama4_json",
        "longcat",
        "phi4_mini_json",
        "xlam",
    ),
}
"""Names of vLLM's tool parsers whose answers a syntax reads; `hf` reads what a model's own files describe."""

COMMON_EXAMPLES = (
    "<think>\nPerhaps f(a=2)?\n</think>\n\n[f(a=1)]",
    'I need f.\n</think>\n<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
    "[THINK]Perhaps f(a=2)?[/THINK][f(a=1)]",
    "<reasoning>\nI need f.\n</reasoning>\n<answer>\n[f(a=1)]\n</answer>",
    '[f(b="</think>")]',
    "[]",
)
"""Answers that are read alike in every prompt format of a model's chat template."""

UNREADABLE_EXAMPLES = (
    "I would call f with a = 1.",
    '<tool_call>{"name": "f", "arguments": {"a": 1',
    '{"tool_calls": [{"function": {"name": "f"}}]}',
    '{"name": "f", "arguments": {"a": NaN}}',
    "[f(a=9**9**9)]",
)
"""Answers without calls that can be read, with `ChatTemplate`."""

TASK = Task(
    id="example",
    source="example",
    category="simple_python",
    messages=[{"role": "user", "content": "How warm is it in Oslo?"}],
    functions=[
        {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "dict",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        }
    ],
    ground_truth=[{"weather": {"city": ["Oslo"], "days": [1, ""]}}],
)
"""The task that `FAILED_EXAMPLES` answer."""

FAILED_EXAMPLES = (
    "[weather(city='Oslo')]",
    "[weather(city='oslo', days=1)]",
    "It is warm.",
    "weather",
    "[forecast(city='Oslo')]",
    "[weather(days=1)]",
    "[weather(city='Oslo', unit='C')]",
    "[weather(city=7)]",
    "[weather(city='Bergen')]",
    "[weather(city='Oslo'), weather(city='Oslo')]",
)
"""Answers to `TASK`, the first two of which are right."""


@dataclass(frozen=True)
class Judged:
    """An answer and the verdict on it by BFCL's rules."""

    text: str
    error: str
    detail: str


_FUNCTIONS = ({"name": "f"}, {"name": "g"})


def read(text: str, syntaxes: tuple[AnswerSyntax, ...]) -> ParsedAnswer:
    """Return what is read of an answer in a prompt format of these syntaxes, to a task with the functions f and g."""
    return parse_answer(text, syntaxes, functions=_FUNCTIONS)


def judged() -> list[Judged]:
    """Return the verdicts on `FAILED_EXAMPLES`."""
    verdicts = [(text, check_text(TASK, text)) for text in FAILED_EXAMPLES]
    return [Judged(text, verdict.error, verdict.detail) for text, verdict in verdicts]
