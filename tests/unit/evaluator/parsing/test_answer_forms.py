"""Forms in which models write one call, whatever the format asks for; each was seen in public threads on parsers."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from bitagent_evaluator.formats_page.answers import VLLM_PARSERS
from bitagent_evaluator.parsing import AnswerSyntax, Unreadable, parse_answer
from bitagent_evaluator.prompts.chat_formats import Bfcl, ChatTemplate, Hammer
from bitagent_evaluator.prompts.text_formats import Alpaca

CALLS = [{"f": {"city": "Oslo", "days": 3}}]
FUNCTIONS = [
    {
        "name": "f",
        "parameters": {"type": "dict", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    }
]
ARGUMENTS = '{"city": "Oslo", "days": 3}'
CALL = f'{{"name": "f", "arguments": {ARGUMENTS}}}'
AS_TEXT = ARGUMENTS.replace('"', '\\"')
PARAMETERS = CALL.replace("arguments", "parameters")
MINIMAX = "]<]minimax[>["
FORMS = {
    "Python": '[f(city="Oslo", days=3)]',
    "Python without brackets": 'f(city="Oslo", days=3)',
    "Python in a bare fence": '```\n[f(city="Oslo", days=3)]\n```',
    "Python after a thought": '<think>\nOslo.\n</think>\n\n[f(city="Oslo", days=3)]',
    "block": f"<tool_call>\n{CALL}\n</tool_call>",
    "block that is not closed": f"<tool_call>\n{CALL}",
    "block with arguments as text": f'<tool_call>{{"name": "f", "arguments": "{AS_TEXT}"}}</tool_call>',
    "block with parameters": f"<tool_call>{PARAMETERS}</tool_call>",
    "block after a thought with a draft": f'<think>f(city="Oslo")?</think><tool_call>{CALL}</tool_call>',
    "block in a thought that is not closed": f"<think>I call it.\n<tool_call>\n{CALL}\n</tool_call>",
    "block whose marks are special tokens": f"\n{CALL}\n",
    "list": f"[{CALL}]",
    "list in a fence": f"```json\n[{CALL}]\n```",
    "list after prose with brackets": f"By [1] and {{that}}: [{CALL}]",
    "object": CALL,
    "object with parameters": PARAMETERS,
    "Llama's mark before an object": f"<|python_tag|>{PARAMETERS}",
    "Phi's word before a list": f"functools[{CALL}]",
    "Mistral's mark before a list": f"[TOOL_CALLS] [{CALL}]",
    "Mistral's marks": f"[TOOL_CALLS]f[ARGS]{ARGUMENTS}",
    "Llama's tag": f"<function=f>{ARGUMENTS}</function>",
    "Qwen's tags": "<function=f>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>",
    "tool_calls": f'{{"thought": "", "tool_calls": [{CALL}]}}',
    "OpenAI": f'{{"tool_calls": [{{"type": "function", "function": {{"name": "f", "arguments": "{AS_TEXT}"}}}}]}}',
    "GLM-4.5's tags": "<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
    "GLM-4.7's tags": "<tool_call>f<arg_key>city</arg_key><arg_value>Oslo</arg_value>"
    "<arg_key>days</arg_key><arg_value>3</arg_value></tool_call>",
    "GLM-4.5 after a thought": "<think>f.</think>\n<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>"
    "\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>",
    "GLM-4": f"f\n{ARGUMENTS}",
    "MiniMax-M2": '<minimax:tool_call>\n<invoke name="f">\n<parameter name="city">Oslo</parameter>\n'
    '<parameter name="days">3</parameter>\n</invoke>\n</minimax:tool_call>',
    "Step 3": '<｜tool_calls_begin｜><steptml:invoke name="f"><steptml:parameter name="city">Oslo</steptml:parameter>'
    '<steptml:parameter name="days">3</steptml:parameter></steptml:invoke>',
    "DeepSeek-V4.1": '<｜DSML｜ calls>\n<｜DSML｜ invoke name="f">\n'
    '<｜DSML｜ parameter name="city" string="true">Oslo</｜DSML｜ parameter>\n'
    '<｜DSML｜ parameter name="days" string="false">3</｜DSML｜ parameter>\n</｜DSML｜ invoke>',
    "MiniMax-M3": MINIMAX.join(
        (
            "",
            "<tool_call>",
            '<invoke name="f">',
            "<city>Oslo",
            "</city>",
            "<days>3",
            "</days>",
            "</invoke>",
            "</tool_call>",
        )
    ),
    "Kimi K3": '<|open|>tools<|sep|>\n<|open|>call tool="f" index="1"<|sep|>\n<|open|>argument key="city" type="string"'
    '<|sep|>Oslo<|close|>argument<|sep|>\n<|open|>argument key="days" type="integer"<|sep|>3<|close|>argument<|sep|>\n'
    "<|close|>call<|sep|>\n<|close|>tools<|sep|>",
    "dots": "<dots_function_call>\n<invoke name=f>\n<parameter name=city>Oslo</parameter>\n"
    '<parameter name="days">3</parameter>\n</invoke>\n</dots_function_call>',
    "Muse": "<|start|>assistant to=f<|message|>\n<atem:function_calls>\n<atem:invoke name='f'>\n"
    "<atem:parameter name='city'>Oslo</atem:parameter>\n<atem:parameter name='days'>3</atem:parameter>\n"
    "</atem:invoke>\n</atem:function_calls><|eom|>",
    "MiniCPM with CDATA": '<function name="f"><param name="city"><![CDATA[Oslo]]></param><param name="days">3</param>'
    "</function>",
    "MiniCPM without blanks": '<functionname="f"><paramname="city">Oslo</param><paramname="days">3</param></function>',
    "elements in an invocation": '<invoke name="f"><city>Oslo</city><days>3</days></invoke>',
    "Hunyuan 3": "<tool_calls:6124><tool_call:6124>f<tool_sep:6124>\n<arg_key:6124>city</arg_key:6124>\n"
    "<arg_value:6124>Oslo</arg_value:6124>\n<arg_key:6124>days</arg_key:6124><arg_value:6124>3</arg_value:6124>\n"
    "</tool_call:6124></tool_calls:6124>",
    "K2 Horizon": "<ifm|tool_calls><ifm|tool_call>f<ifm|arg_key>city</ifm|arg_key><ifm|arg_value>Oslo</ifm|arg_value>"
    "<ifm|arg_key>days</ifm|arg_key><ifm|arg_value>3</ifm|arg_value></ifm|tool_call></ifm|tool_calls>",
    "PLaMo 3": "<|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>f<|plamo:end_tool_name:plamo|>"
    f"<|plamo:begin_tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{ARGUMENTS}"
    "<|plamo:end_tool_arguments:plamo|>",
    "Inkling": f'<|message_model|><|content_invoke_tool_json|>{{"name":"f","args":{ARGUMENTS}}}<|end_message|>',
    "GigaChat": f"I look.<|message_sep|>\n\nfunction call<|role_sep|>\n{CALL}</s>",
    "LongCat after a thought": f'<longcat_think>{{"name": "g", "arguments": {{}}}}?</longcat_think>'
    f"<longcat_tool_call>\n{CALL}\n</longcat_tool_call>",
    "Gemma 4 after a thought": "<|channel>thought\ng{}<channel|>"
    '<|tool_call>call:f{city:<|"|>Oslo<|"|>, days: 3}<tool_call|>',
    "Granite 20B": f"<function_call> {CALL}",
    "Mistral's mark before a name": f"[TOOL_CALLS]f{ARGUMENTS}",
    "Mistral's mark before a name and a blank": f"[TOOL_CALLS] f {ARGUMENTS}</s>",
    "Mistral without its special token": f"f[ARGS]{ARGUMENTS}",
    "Mistral with the number of a call": f"[TOOL_CALLS]f[CALL_ID]123456789[ARGS]{ARGUMENTS}",
    "Python's list after prose": 'Sure! Here is the call:\n\n[f(city="Oslo", days=3)]',
    "Python's list after prose, of several lines": 'Sure:\n[f(\n    city="Oslo",\n    days=3,\n)]\n',
    "Gemma's tags": '<tool_code>\nprint(f(city="Oslo", days=3))\n</tool_code>',
    "DeepSeek-V3.2": '<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n'
    '<｜DSML｜parameter name="city" string="true">Oslo</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>',
    "MiniCPM": '<function name="f"><param name="city">Oslo</param><param name="days">3</param></function>',
    "DeepSeek-V3.1": f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜>",
    "DeepSeek-V3": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n"
    f"```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜>",
    "Kimi K2": "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"
    f"{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>",
    "gpt-oss": "<|channel|>analysis<|message|>f it is.<|end|><|start|>assistant"
    f"<|channel|>commentary to=functions.f <|constrain|>json<|message|>{ARGUMENTS}<|call|>",
    "gpt-oss, recipient first": f" to=functions.f<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>",
    "Functionary 3.2": f">>>all\nI look.\n>>>f\n{ARGUMENTS}",
    "Functionary 2": f"<|recipient|> f\n<|content|> {ARGUMENTS}<|stop|>",
    "FunctionGemma": "<start_function_call>call:f{city:<escape>Oslo<escape>,days:3}<end_function_call>",
    "Gemma 4": '<|tool_call>call:f{city:<|"|>Oslo<|"|>, days: 3}<tool_call|>',
    "Gemma 3": '```tool_code\nprint(default_api.f(city="Oslo", days=3))\n```',
    "OLMo 3": '<function_calls>\nf(city="Oslo", days=3)\n</function_calls>',
    "LFM2": '<|tool_call_start|>[f(city="Oslo", days=3)]<|tool_call_end|>I look.',
    "Llama 4": '<|python_start|>[f(city="Oslo", days=3)]<|python_end|>',
    "Apertus": f'<|tools_prefix|>[{{"f": {ARGUMENTS}}}]<|tools_suffix|>',
    "Apertus, stopped at its mark": f'I look.<|tools_prefix|>[{{"f": {ARGUMENTS}}}]',
    "Apertus after a thought": f'<|inner_prefix|>f?<|inner_suffix|><|tools_prefix|>[{{"f": {ARGUMENTS}}}]',
    "Apertus with arguments as text": f'<|tools_prefix|>[{{"f": "{AS_TEXT}"}}]<|tools_suffix|><|assistant_end|>',
    "Apertus with the usual members": f"<|tools_prefix|>[{CALL}]<|tools_suffix|>",
    "Raven": 'Call: f(city="Oslo", days=3)<bot_end>',
    "Raven, stopped at its mark": "Call: f(city='Oslo', days=3)",
    "Raven with its reasons": "Call: f(city='Oslo', days=3)<bot_end>\nThought: f(city=...) tells the weather.",
    "Raven after prose": 'Let me see.\nCall: f(city="Oslo", days=3)<bot_end> \nThought: It is f.',
    "Gorilla": '<<<domain>>>: Weather\n<<<api_call>>>: f(city="Oslo", days=3)\n<<<api_provider>>>: me\n'
    "<<<explanation>>>: f tells it.",
    "Gorilla on one line": '<<<api_call>>>: f(city="Oslo", days=3), <<<api_provider>>>: me',
    "Gorilla OpenFunctions": '<<function>>f(city="Oslo", days=3)',
    "Gorilla OpenFunctions after prose": 'I look.\n<<function>>f(city="Oslo", days=3)</s>',
    "a script's call after prose": 'I look it up.\n\nf.call(city="Oslo", days=3)',
    "a script's call after a heading": 'The call:\n`f.call(city="Oslo", days=3)`\n',
    "Python in a fence of Python": '```python\n[f(city="Oslo", days=3)]\n```',
    "ReAct": f"Thought: f.\nAction: f\nAction Input: {ARGUMENTS}\nObservation: 7\nAction: f\nAction Input: {{}}",
    "ReAct in bold": f"**Action:** f\n**Action Input:** ```json\n{ARGUMENTS}\n```",
    "ReAct with keywords": "Action: f\nAction Input: city='Oslo', days=3\nFinal Answer: no",
    "Qwen-Agent": f"✿FUNCTION✿: f\n✿ARGS✿: {ARGUMENTS}\n✿RESULT✿: 7",
    "LangChain's JSON": f'Action:\n```\n{{"action": "f", "action_input": {ARGUMENTS}}}\n```',
    "Command-R": f'Action: ```json\n[{{"tool_name": "f", "parameters": {ARGUMENTS}}}]\n```',
    "Command-A": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": '
    f"{ARGUMENTS}}}]<|END_ACTION|>",
    "Granite": f"<|tool_call|>[{CALL}]",
    "Phi-4-mini": f"<|tool_call|>[{CALL}]<|/tool_call|>",
    "Hunyuan and Jamba": f"<tool_calls>\n[{CALL}]\n</tool_calls>",
    "MiniMax-M1": f"<tool_calls>\n{CALL}\n</tool_calls>",
    "InternLM": f"<|action_start|><|plugin|>\n{PARAMETERS}<|action_end|>",
    "Nemotron": f"<TOOLCALL>[{CALL}]</TOOLCALL>",
    "Seed-OSS": "<seed:tool_call>\n<function=f>\n<parameter=city>Oslo</parameter>\n<parameter=days>3</parameter>\n"
    "</function>\n</seed:tool_call>",
    "Llama 3.1": f'<|python_tag|>{{"type": "function", "function": "f", "parameters": {ARGUMENTS}}}<|eom_id|>',
    "Llama 4 with its mark of the end": '[f(city="Oslo", days=3)]<|eot|>',
    "Python with marks of the end": "f(city='Oslo', days=3)<|im_end|>\n<|endoftext|>",
    "Hermes in Python's notation": "<tool_call>\n{'arguments': {'city': 'Oslo', 'days': 3}, 'name': 'f'}\n</tool_call>",
    "Python in a block": '<tool_call>\nf(city="Oslo", days=3)\n</tool_call>',
    "Magistral": f'[THINK]{{"name": "f", "arguments": {{}}}}?[/THINK][TOOL_CALLS]f[ARGS]{ARGUMENTS}',
    "Granite 3.3 after a thought": f"<think>f.</think><response>\n<|tool_call|>[{CALL}]\n</response>",
    "Anthropic's object": f'{{"type": "tool_use", "id": "1", "name": "f", "input": {ARGUMENTS}}}',
    "LangChain's tool": f'{{"tool": "f", "tool_input": {ARGUMENTS}}}',
    "args": f'{{"name": "f", "args": {ARGUMENTS}}}',
    "function_name": f'{{"function_name": "f", "arguments": {ARGUMENTS}}}',
    "Bagel's members": f'{{"function": "f", "params": {ARGUMENTS}}}',
    "OpenAI, before tool calls": f'{{"function_call": {{"name": "f", "arguments": "{AS_TEXT}"}}}}',
}


PARSERS = {
    "apertus": "Apertus",
    "cohere_command3": "Command-A",
    "cohere_command4": "Command-A",
    "deepseek_v3": "DeepSeek-V3",
    "deepseek_v31": "DeepSeek-V3.1",
    "deepseek_v32": "DeepSeek-V3.2",
    "deepseek_v4": "DeepSeek-V3.2",
    "deepseek_v41": "DeepSeek-V4.1",
    "dots": "dots",
    "ernie45": "block after a thought with a draft",
    "functiongemma": "FunctionGemma",
    "gemma4": "Gemma 4",
    "gigachat3": "GigaChat",
    "glm45": "GLM-4.5's tags",
    "glm47": "GLM-4.7's tags",
    "granite": "block",
    "granite-20b-fc": "Granite 20B",
    "granite4": "block",
    "hermes": "block",
    "hunyuan_a13b": "Hunyuan and Jamba",
    "hy_v3": "Hunyuan 3",
    "hy_v4": "Hunyuan 3",
    "inkling": "Inkling",
    "internlm": "InternLM",
    "jamba": "Hunyuan and Jamba",
    "k2_horizon": "K2 Horizon",
    "kimi_k2": "Kimi K2",
    "kimi_k3": "Kimi K3",
    "lfm2": "LFM2",
    "ling3": "GLM-4.7's tags",
    "llama3_json": "Llama 3.1",
    "llama4_json": "object with parameters",
    "llama4_pythonic": "Llama 4",
    "longcat": "LongCat after a thought",
    "mimo": "Qwen's tags",
    "minicpm5": "MiniCPM with CDATA",
    "minimax_m2": "MiniMax-M2",
    "minimax_m3": "MiniMax-M3",
    "mistral": "Mistral's mark before a name",
    "muse_glimmer": "Muse",
    "olmo3": "OLMo 3",
    "openai": "gpt-oss",
    "phi4_mini_json": "Phi's word before a list",
    "plamo3": "PLaMo 3",
    "poolside_v1": "GLM-4.5's tags",
    "pythonic": "Python",
    "qwen3_coder": "Qwen's tags",
    "qwen3_json": "block",
    "qwen3_xml": "Qwen's tags",
    "seed_oss": "Seed-OSS",
    "step3": "Step 3",
    "step3p5": "Qwen's tags",
    "xlam": "list",
}
"""vLLM's tool parsers, each with a form that it reads."""


def test_every_tool_parser_of_the_engine_is_in_the_docs_and_has_a_form_here() -> None:
    spec = importlib.util.find_spec("vllm")  # It is not imported, which would take seconds.
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("vLLM is not installed")
    registry = Path(spec.submodule_search_locations[0]) / "tool_parsers" / "__init__.py"
    (named,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(registry.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
    ]
    documented = {name for names in VLLM_PARSERS.values() for name in names}
    assert set(named) - {"hf"} == documented == PARSERS.keys()


@pytest.mark.parametrize("parser", PARSERS)
def test_the_form_of_a_tool_parser_is_read_in_the_syntax_of_the_docs(parser: str) -> None:
    (syntax,) = [syntax for syntax, names in VLLM_PARSERS.items() if parser in names]
    answer = parse_answer(FORMS[PARSERS[parser]], [AnswerSyntax.PYTHON, syntax], functions=FUNCTIONS)
    assert answer.calls == CALLS


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_one_call_is_read_in_every_form(text: str) -> None:
    answer = parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS)
    assert (answer.calls, answer.unreadable) == (CALLS, None)


TWO = [{"f": {"city": "Oslo", "days": 3}}, {"f": {"city": "Bergen"}}]
TWO_CALLS = {
    "GLM-4.5": FORMS["GLM-4.5's tags"]
    + "\n<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Bergen</arg_value>\n</tool_call>",
    "MiniMax-M2": FORMS["MiniMax-M2"] + '<invoke name="f"><parameter name="city">Bergen</parameter></invoke>',
    "DeepSeek": FORMS["DeepSeek-V3.1"]
    + '<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"city": "Bergen"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "Kimi K2": f"<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|>"
    '<|tool_call_begin|>functions.f:1<|tool_call_argument_begin|>{"city": "Bergen"}<|tool_call_end|>',
    "Functionary, whose prompt ends with its mark": f'f\n{ARGUMENTS}\n>>>f\n{{"city": "Bergen"}}',
    "FunctionGemma": FORMS["FunctionGemma"]
    + "<start_function_call>call:f{city:<escape>Bergen<escape>}<end_function_call>",
    "OLMo 3": '<function_calls>\nf(city="Oslo", days=3)\nf(city="Bergen")\n</function_calls>',
    "Python, one a line": 'f(city="Oslo", days=3)\nf(city="Bergen")',
    "Apertus": f'<|tools_prefix|>[{{"f": {ARGUMENTS}}}, {{"f": {{"city": "Bergen"}}}}]<|tools_suffix|>',
    "Apertus, twice": f'<|tools_prefix|>[{{"f": {ARGUMENTS}}}]<|tools_suffix|>'
    '<|tools_prefix|>[{"f": {"city": "Bergen"}}]<|tools_suffix|>',
    "Raven": 'Call: f(city="Oslo", days=3); f(city="Bergen")<bot_end>',
    "Gorilla OpenFunctions": '<<function>>f(city="Oslo", days=3)<<function>>f(city="Bergen")',
    "scripts' calls": 'So:\nf.call(city="Oslo", days=3)\nf.call(city="Bergen")',
    "ReAct": f'Action: f\nAction Input: {ARGUMENTS}\nAction: f\nAction Input: {{"city": "Bergen"}}\nObservation: 7',
}


@pytest.mark.parametrize("text", TWO_CALLS.values(), ids=TWO_CALLS)
def test_two_calls_are_read(text: str) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS).calls == TWO


VALUES: dict[str, tuple[str, dict[str | None, object]]] = {
    "text like a number": ("<tool_call>f<arg_key>city</arg_key><arg_value>7</arg_value></tool_call>", {"city": "7"}),
    "text with a call": (
        f"<tool_call>f<arg_key>city</arg_key><arg_value>[{CALL}]</arg_value></tool_call>",
        {"city": f"[{CALL}]"},
    ),
    "text with a mark of thoughts": (
        "<tool_call>f<arg_key>city</arg_key><arg_value>a</think>b</arg_value></tool_call>",
        {"city": "a</think>b"},
    ),
    "text with JSON": ('<invoke name="f"><parameter name="city">{"a": 1}</parameter></invoke>', {"city": '{"a": 1}'}),
    "Python's list": (
        "<tool_call>f<arg_key>l</arg_key><arg_value>['a', 'b']</arg_value></tool_call>",
        {"l": ["a", "b"]},
    ),
    "Python's object": (
        "<function=f><parameter=o>{'a': True, 'b': None}</parameter></function>",
        {"o": {"a": True, "b": None}},
    ),
    "Python's tuple is a list": (
        "<tool_call>{'name': 'f', 'arguments': {'l': ('a', 'b')}}</tool_call>",
        {"l": ["a", "b"]},
    ),
    "Python in a block, without blanks": ("<tool_call>f(days=3)</tool_call>", {"days": 3}),
    "Python in a block, without arguments": ("<tool_call>f()</tool_call>", {}),
    "a number as a name in Python's object": (
        "<function=f><parameter=o>{'a': {1: 2}}</parameter></function>",
        {"o": "{'a': {1: 2}}"},
    ),
    "a text like Python's list": ("<function=f><parameter=city>['a']</parameter></function>", {"city": "['a']"}),
    "half of Python's list": ("<function=f><parameter=l>['a', 'b'</parameter></function>", {"l": "['a', 'b'"}),
    "no arguments": ("<tool_call>f</tool_call>", {}),
    "an input that is the only argument": ("Action: g\nAction Input: Oslo", {"place": "Oslo"}),
    "lists and objects of Gemma": (
        "<start_function_call>call:f{l:[1,-2.5,<escape>a,b<escape>],o:{t:true,n:null,w:low}}<end_function_call>",
        {"l": [1, -2.5, "a,b"], "o": {"t": True, "n": None, "w": "low"}},
    ),
    "nested elements": (
        '@<invoke name="f">@<o>@<a>1@</a>@<l>@<item>x@</item>@<item>y@</item>@</l>@</o>@</invoke>'.replace(
            "@", MINIMAX
        ),
        {"o": {"a": 1, "l": ["x", "y"]}},
    ),
    "lists in a list": (
        '<invoke name="f"><l><item><item>1</item><item>2</item></item><item><item>3</item></item></l></invoke>',
        {"l": [[1, 2], [3]]},
    ),
    "elements in one of their name": ('<invoke name="f"><o><o><o>1</o></o></o></invoke>', {"o": {"o": {"o": 1}}}),
    "objects in lists in objects": (
        '<invoke name="f"><o><l><item><l><item>1</item></l></item></l></o></invoke>',
        {"o": {"l": [{"l": [1]}]}},
    ),
    "a text with half of its own tag": ('<invoke name="f"><city>x <city> y</city></invoke>', {"city": "x <city> y"}),
    "elements in a text": ('<invoke name="f"><city><b>Oslo</b></city></invoke>', {"city": "<b>Oslo</b>"}),
    "elements in a text of Java": ('<invoke name="h"><place><b>Oslo</b></place></invoke>', {"place": "<b>Oslo</b>"}),
    "a text with marks in CDATA": (
        '<function name="f"><param name="city"><![CDATA[a <b> & c]]></param></function>',
        {"city": "a <b> & c"},
    ),
    "tags with attributes apart": (
        '<invoke name="f"  id="1"><parameter name="city"  type="string" >7</parameter></invoke>',
        {"city": "7"},
    ),
    "a tag that is closed at once": ('<invoke name="f" />', {}),
    "a name with a blank": ('<invoke name="f"><parameter name="a b">1</parameter></invoke>', {None: {"a b": 1}}),
    "arguments that hold another form": (
        '<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"name": "h", "arguments": {}}<｜tool▁call▁end｜>',
        {"name": "h", "arguments": {}},
    ),
    "an input that looks like a call": (
        'Action: f\nAction Input: {"name": "h", "arguments": {}}',
        {"name": "h", "arguments": {}},
    ),
}
PLACE = {"name": "g", "parameters": {"type": "dict", "properties": {"place": {"type": "string"}}}}

IN_JAVA = {"name": "h", "parameters": {"type": "dict", "properties": {"place": {"type": "String"}}}}


@pytest.mark.parametrize(("text", "arguments"), VALUES.values(), ids=VALUES)
def test_arguments_are_read(text: str, arguments: dict[str | None, object]) -> None:
    answer = parse_answer(text, ChatTemplate.syntaxes, functions=[*FUNCTIONS, PLACE, IN_JAVA])
    assert answer.calls is not None
    assert [list(call.values()) for call in answer.calls] == [[arguments]]


NO_CALLS = {
    "ReAct without an action": "Thought: no tool fits.\nFinal Answer: I cannot.",
    "ReAct's action none": "Action: None\nAction Input: none\nFinal Answer: no",
    "Command-R answers itself": 'Action: ```json\n[{"tool_name": "directly_answer", "parameters": {}}]\n```',
    "Functionary to the user": ">>>all\nI cannot.",
    "gpt-oss to the user": "<|channel|>final<|message|>I cannot.",
    "a heading of two words before an object": 'The result\n{"city": "Oslo"}',
    "an object with prose after it": 'f\n{"city": "Oslo"}\nThat is it.',
    "a program for the user": "```python\nimport os\nprint(os.getcwd())\n```",
    "a program that begins with a function": "```python\nf(city='Oslo')\nx = 1\n```",
    "prose about an action": "Action: you should call f.\nThen see.",
    "GLM's block without a name": "<tool_call><arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>",
    "Gemma's half call": "<start_function_call>call:f{city:<escape>Oslo",
    "Gemma's call without a comma": "<start_function_call>call:f{city:<escape>Oslo<escape> days:3}",
    "Python's notation that breaks off": "<tool_call>{'name': 'f', 'arguments': {'city': 'Oslo'",
    "Python's notation of what is not JSON": "<tool_call>{'name': 'f', 'arguments': {'city': {'Oslo'}}}</tool_call>",
    "a number as the name of an argument": "<tool_call>{'name': 'f', 'arguments': {1: 'Oslo'}}</tool_call>",
    "nothing as the name of an argument": "<tool_call>{'name': 'f', 'arguments': {None: 'Oslo'}}</tool_call>",
    "names of other kinds in an argument": "<tool_call>{'name': 'f', 'arguments': {'city': {2: 1}}}</tool_call>",
    "a number that is not finite": "<tool_call>{'name': 'f', 'arguments': {'city': 1e999}}</tool_call>",
    "a name without arguments": '{"tool": "f", "city": "Oslo"}',
    "Apertus' half call": f'<|tools_prefix|>[{{"f": {ARGUMENTS}',
    "Apertus' list of nothing": "<|tools_prefix|>[]<|tools_suffix|>",
    "Apertus' call without an object": '<|tools_prefix|>[{"f": 3}]<|tools_suffix|>',
    "Raven's half call": 'Call: f(city="Oslo<bot_end>',
    "prose with a name before brackets": "Call: support(24 hours a day) if it is urgent.",
    "Gorilla without a call": "<<<api_call>>>: none fits",
    "a word before a call and more": 'Call: f(city="Oslo", days=3) would be one.',
    "a program whose last line is a call": "Try this:\n\nsubprocess.call(['ls', '-l'])",
    "a script that has more to say": "f.call(city='Oslo')\nThat is what I would call.",
    "a list of calls and more to say": "So:\n[f(city='Oslo')]\nThat is it.",
    "a list in prose": "Sure: [f(city='Oslo')]",
    "a list without names of arguments": "The numbers:\n[f('Oslo')]",
    "Mistral's mark before prose": "[TOOL_CALLS]f is what I would call.",
    "lists of calls after prose, of which one would be chosen": "Either\n[f(city='Oslo')]\nor\n[f(city='Rome')]",
    "a call in prose before a list": "First\nf(city='Oslo')\nand then\n[f(city='Rome')]",
    "elements and prose": '<invoke name="f">Oslo <b>now</b></invoke>',
    "prose about calls": "You may use f.call(city='Oslo') to see it.",
    "half an invocation": "<｜tool▁call▁begin｜>f<｜tool▁sep｜>" + ARGUMENTS[:-3],
}


@pytest.mark.parametrize("text", NO_CALLS.values(), ids=NO_CALLS)
def test_no_call_is_read(text: str) -> None:
    answer = parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS)
    assert (answer.calls, answer.unreadable) == (None, Unreadable.SYNTAX)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_what_is_a_call_is_one_whatever_functions_are_offered(text: str) -> None:
    """Otherwise one text were right for a task, and for its twin without the function."""
    for functions in ([], [PLACE]):
        calls = parse_answer(text, ChatTemplate.syntaxes, functions=functions).calls
        assert calls and [list(call) for call in calls] == [["f"]]


BESIDE_LEADS: dict[str, tuple[str, list[dict[str, dict[str, object]]]]] = {
    "a fence after a word": ("Call: g(a=1)\n```python\nf(city='Oslo', days=3)\n```", CALLS),
    "a fence before a word": ("```python\nf(city='Oslo', days=3)\n```\nCall: g(a=1)", CALLS),
    "a fence beside a mark without a call": ("```python\nf(city='Oslo', days=3)\n```\n<<function>>", CALLS),
    "a fence that explains a mark's call": (
        "Call: f(city='Oslo', days=3)<bot_end>\nThought: as in\n```python\ng(a=1)\n```",
        CALLS,
    ),
    "functions whose names end in call": (
        "phone.call(number=1)\nphone.call(number=2)",
        [{"phone.call": {"number": 1}}, {"phone.call": {"number": 2}}],
    ),
    "an object before a word": (f"{CALL}\nCall: g(a=1)", CALLS),
    "an object before a list": (f"{CALL}\n[g(a=1)]", CALLS),
    "an object in a fence before a word": (f"```json\n{CALL}\n```\nCall: g(a=1)", CALLS),
    "an object after a word": (f"Call: g(a=1)\n{CALL}", CALLS),
    "an action before a call": (f"Action: f\nAction Input: {ARGUMENTS}\ng.call(a=1)", CALLS),
    "an action before a word": (f"Action: f\nAction Input: {ARGUMENTS}\nCall: g(a=1)", CALLS),
    "a semicolon in a text": (
        "Call: f(city='(a); b'); f(city=\"it's); c\")<bot_end>",
        [{"f": {"city": "(a); b"}}, {"f": {"city": "it's); c"}}],
    ),
    "a mark in a text": ("<<function>>f(city='<s>Oslo</s>', days=3)</s>", [{"f": {"city": "<s>Oslo</s>", "days": 3}}]),
}


@pytest.mark.parametrize(("text", "calls"), BESIDE_LEADS.values(), ids=BESIDE_LEADS)
def test_a_lead_changes_nothing_that_is_read_without_it(text: str, calls: list[dict[str, dict[str, object]]]) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS).calls == calls


def test_only_formats_of_a_models_template_read_them() -> None:
    for form in (Bfcl, Hammer, Alpaca):
        assert not parse_answer(FORMS["GLM-4.5's tags"], form.syntaxes, functions=FUNCTIONS).calls


HALF = {
    "block": CALL[:20].join(("<tool_call>", "")),
    "block with a line break in a text": "<tool_call>" + CALL.replace("Oslo", "Os\nlo") + "</tool_call>",
    "Mistral's marks": "[TOOL_CALLS]f[ARGS]" + ARGUMENTS[:-3],
    "a thought without an answer": "<think>I could call f, or not",
}


@pytest.mark.parametrize("text", HALF.values(), ids=HALF)
def test_half_a_call_is_unreadable(text: str) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS).unreadable is Unreadable.SYNTAX
