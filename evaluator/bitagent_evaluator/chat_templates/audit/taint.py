"""Taint analysis of a template: label what is assigned, written and decided in its statements; nothing is run.

A template is refused if a decision depends on the words of the conversation. The statements are visited until no
label is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from jinja2 import nodes

from bitagent_evaluator.chat_templates.audit.analysis import Report
from bitagent_evaluator.chat_templates.audit.expressions import Expressions
from bitagent_evaluator.chat_templates.audit.findings import MAX_FINDINGS, Finding, Rule, Severity, quote_line
from bitagent_evaluator.chat_templates.audit.labels import Label, Scopes, compute, derive, soften
from bitagent_evaluator.chat_templates.audit.rules import check_nodes, is_type_name
from bitagent_evaluator.chat_templates.audit.syntax import is_number
from bitagent_evaluator.chat_templates.render import parse_template

_LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class TaintAnalysis:
    """The analysis of one template."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reporting = False
        """Whether all labels are known. Before that a finding could be about a value that is not fully known."""
        self._scopes = Scopes()
        self._expressions = Expressions(self._scopes, self._report_at_last)
        self._written = [Label.CLEAN]
        """Labels of what the enclosing blocks have written, the innermost last."""
        self._counted = Label.CLEAN
        """Label of the number of times that the enclosing loops run."""

    def run(self, template: nodes.Template) -> None:
        """Visit the template until no label is added. Labels only grow, so this ends."""
        for macro in template.find_all(nodes.Macro):
            self._expressions.macros.setdefault(macro.name, []).append(macro)
        while self._pass(template):
            pass
        self._reporting = True
        self._pass(template)

    def _pass(self, template: nodes.Template) -> bool:
        """Visit the template once; return whether a label was added."""
        self._scopes.changed = False
        self._expressions.clear_cache()
        labels = dict(self._expressions.macro_labels)
        self._visit_all(template.body)
        return self._scopes.changed or labels != self._expressions.macro_labels

    def _report_at_last(self, node: nodes.Node, rule: Rule, explanation: str) -> None:
        if self._reporting:
            self._report(node, rule, explanation)

    def _visit_all(self, body: Sequence[nodes.Node]) -> None:
        for node in body:
            self._visit(node)

    def _visit(self, node: nodes.Node) -> None:
        match node:
            case nodes.Output():
                self._written[-1] |= self._expressions.union(node.nodes) | soften(self._counted)
            case nodes.If():
                self._visit_if(node)
            case nodes.For():
                self._visit_for(node)
            case nodes.Assign():
                self._assign(node.target, node.node)
            case nodes.AssignBlock():
                with self._capture() as written:
                    self._visit_all(node.body)
                label = written[0]
                if node.filter is not None:
                    label = self._apply_filters(node.filter, label)
                self._assign_label(node.target, label | soften(self._counted))
            case nodes.Macro():
                self._visit_macro(node)
            case nodes.CallBlock():
                self._visit_call_block(node)
            case nodes.FilterBlock():
                with self._capture() as written:
                    self._visit_all(node.body)
                self._written[-1] |= self._apply_filters(node.filter, written[0])
            case nodes.With():
                with self._scopes.enter(node):
                    for target, value in zip(node.targets, node.values, strict=True):
                        self._assign(target, value)
                    self._visit_all(node.body)
            case nodes.ExprStmt():
                self._expressions.label(node.node)
            case nodes.Keyword():  # Of `autoescape`: what is written inside may depend on it.
                self._expressions.check_condition(node.value)
            case nodes.Expr():
                self._expressions.label(node)
            case _ if isinstance(node, _LOADING):
                self._report(node, Rule.OTHER_TEMPLATE, "loads another template, and there is none")
            case _:
                self._visit_all(list(node.iter_child_nodes()))

    @contextmanager
    def _capture(self) -> Iterator[list[Label]]:
        """Collect the label of what is written inside; the list's only element is set when the block ends."""
        self._written.append(Label.CLEAN)
        result = [Label.CLEAN]
        yield result
        result[0] = self._written.pop()

    def _apply_filters(self, chain: nodes.Filter, label: Label) -> Label:
        inner = chain.node
        if isinstance(inner, nodes.Filter):
            label = self._apply_filters(inner, label)
        return self._expressions.calls.apply_filter(chain, label)

    def _visit_if(self, node: nodes.If) -> None:
        if not _writes_type_names(node.body):
            self._expressions.check_condition(node.test)
        before = self._counted
        if self._only_parts(node.test):
            self._counted &= ~Label.COMPUTED
        with self._expressions.structured(node.test):
            self._visit_all(node.body)
        self._counted = before
        with self._expressions.structured(node.test, holds=False):
            for other in node.elif_:
                self._visit(other)
            self._visit_all(node.else_)

    def _visit_for(self, node: nodes.For) -> None:
        held = self._expressions.label(node.iter)
        before = self._counted
        with self._scopes.enter(node):
            element = _element(held)
            counters = _of_counters(held)
            known = {"previtem": element, "nextitem": element, "first": Label.CLEAN, "last": Label.CLEAN, "": counters}
            for name, label in known.items():
                self._scopes.assign(f"loop.{name}", label, None)
            self._scopes.assign("loop", compute(element) | Label.COMPUTED, None)  # It may be anything by another name.
            for target, values in _columns(node) or [(node.target, node.iter)]:
                constants = self._expressions.constants.of(values)
                self._assign_label(target, element, None if constants is None else set(constants))
            if node.test is not None:
                self._expressions.check_condition(node.test)
            self._counted |= counters
            with self._expressions.structured(node.test) if node.test is not None else nullcontext():
                self._visit_all(node.body)
        self._counted = before
        self._visit_all(node.else_)

    def _only_parts(self, test: nodes.Node) -> bool:
        """Return whether a condition can hold only for parts of a message, not for the characters of a text."""
        match test:
            case nodes.And():
                return self._only_parts(test.left) or self._only_parts(test.right)
            case nodes.Or():
                return self._only_parts(test.left) and self._only_parts(test.right)
            case nodes.Compare() if len(test.ops) == 1:
                operator, other = test.ops[0].op, test.ops[0].expr
                if operator == "in":
                    return self._expressions.label(other) == Label.PART
                kind = (
                    isinstance(test.expr, nodes.Getattr | nodes.Getitem)
                    and self._expressions.label(test.expr.node) == Label.PART
                )
                return kind and operator == "eq" and isinstance(self._expressions.constants.single(other), str)
            case nodes.Test():
                return test.name == "mapping" and self._expressions.label(test.node) == Label.PART
            case _:
                return False

    def _assign(self, target: nodes.Node, value: nodes.Node) -> None:
        if isinstance(value, nodes.Const | nodes.Name) or self._expressions.members.is_role(value):
            counted = Label.CLEAN  # One of a few states.
        else:
            counted = self._counted if is_number(value) else soften(self._counted)
        if isinstance(target, nodes.Name):
            self._expressions.bind(target.name, value, also=counted)
        elif (
            isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple) and len(target.items) == len(value.items)
        ):
            for item, item_value in zip(target.items, value.items, strict=True):
                self._assign(item, item_value)
        else:
            self._assign_label(target, self._expressions.label(value) | counted)

    def _assign_label(self, target: nodes.Node, label: Label, constants: set[object] | None = None) -> None:
        match target:
            case nodes.Name():
                self._scopes.assign(target.name, label, constants)
            case nodes.NSRef():
                self._scopes.assign_attribute(target.attr, label)
            case _:
                for child in target.iter_child_nodes():
                    self._assign_label(child, label, constants)

    def _visit_macro(self, node: nodes.Macro) -> None:
        with self._scopes.enter(node), self._capture() as written:
            for parameter, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                self._expressions.bind(parameter.name, default)
            for parameter in node.args:
                self._scopes.assign(parameter.name, Label.CLEAN, set())
            self._visit_all(node.body)
        self._expressions.macro_labels[id(node)] = (
            self._expressions.macro_labels.get(id(node), Label.CLEAN) | written[0]
        )

    def _visit_call_block(self, node: nodes.CallBlock) -> None:
        """Assign the block's text to its macro as `caller()`, with the label of something derived from it."""
        with self._scopes.enter(node), self._capture() as written:
            for parameter in node.args:
                self._scopes.assign(parameter.name, Label.TOOLS | Label.COMPUTED, None)
            self._visit_all(node.body)
        label = derive(written[0])
        for macros in self._expressions.macros.values():
            for macro in macros:
                self._scopes.assign("caller", label, None, scope=macro)
        self._written[-1] |= self._expressions.label(node.call) | label


def _writes_type_names(body: Sequence[nodes.Node]) -> bool:
    """Return whether a branch only writes a type, as templates do that write `any` for a type that is too long."""
    texts = [part for node in body if isinstance(node, nodes.Output) for part in node.nodes]
    return (
        bool(texts)
        and all(isinstance(node, nodes.Output) for node in body)
        and all(
            is_type_name(part.data if isinstance(part, nodes.TemplateData) else str(getattr(part, "value", "")))
            for part in texts
        )
    )


def _columns(loop: nodes.For) -> list[tuple[nodes.Node, nodes.Node]]:
    """Return each variable of a loop over literal tuples with the values at its place; empty for any other loop."""
    match loop.target, loop.iter:
        case nodes.Tuple(items=targets), nodes.List(items=rows) | nodes.Tuple(items=rows):
            items = [row.items for row in rows if isinstance(row, nodes.Tuple | nodes.List)]
            if len(items) == len(rows) and all(len(row) == len(targets) for row in items):
                return [(target, nodes.List([row[at] for row in items])) for at, target in enumerate(targets)]
    return []


def _element(held: Label) -> Label:
    """Return the label of a loop's variable."""
    found = held & (Label.TOOLS | Label.CALLS | Label.COMPUTED | Label.DERIVED | Label.MESSAGE)
    if held & Label.MESSAGES:
        found |= Label.MESSAGE
    if held & (Label.TEXT | Label.PART):
        found |= Label.PART
    if held & Label.PIECES:
        found |= Label.TEXT
    return found | held & (Label.LENGTH | Label.COUNT)


def _of_counters(held: Label) -> Label:
    """Return the label of how often a loop runs."""
    if held & (Label.COMPUTED | Label.TEXT | Label.PART):
        return Label.COMPUTED
    if held & (Label.DERIVED | Label.PIECES | Label.LENGTH):
        return Label.LENGTH
    return Label.COUNT if held & (Label.TOOLS | Label.COUNT) else Label.CLEAN


def analyse_template(source: str) -> list[Finding]:
    """Return the findings in a template's source, refusals first, then by line.

    Raises jinja2.TemplateError if it is not a template, ValueError if it is too long.
    """
    template = parse_template(source)
    lines = source.splitlines()
    found: dict[tuple[int, Rule, str], Finding] = {}

    def report(node: nodes.Node, rule: Rule, explanation: str, severity: Severity = Severity.REFUSE) -> None:
        line = node.lineno
        text = quote_line(lines[line - 1]) if 0 < line <= len(lines) else ""
        found.setdefault((line, rule, explanation), Finding(rule, severity, explanation, line, text))

    TaintAnalysis(report).run(template)
    for node, rule, severity, explanation in check_nodes(template):
        report(node, rule, explanation, severity)
    ordered = sorted(
        found.values(), key=lambda finding: (finding.severity is Severity.NOTE, finding.line or 0, finding.rule)
    )
    return ordered[:MAX_FINDINGS]
