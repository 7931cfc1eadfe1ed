"""The walk over a template: what is put into variables, written out and decided, until nothing new is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jinja2 import nodes

from bitagent_evaluator.safety.audit.expressions import Expressions, Report
from bitagent_evaluator.safety.audit.finding import Rule
from bitagent_evaluator.safety.audit.labels import SECRET, Label, derived
from bitagent_evaluator.safety.audit.scopes import Scopes

_LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Walk:
    """One template's walk."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._scopes = Scopes()
        self._of = Expressions(self._scopes, report)
        self._written = [Label.CLEAN]
        self._counted = Label.CLEAN

    def until_stable(self, template: nodes.Template) -> None:
        """Visit the template until no variable learns anything. Labels only grow, so this ends."""
        for macro in template.find_all(nodes.Macro):
            self._of.macros.setdefault(macro.name, []).append(macro)
        while True:
            self._scopes.changed = False
            self._of.forget()
            results = dict(self._of.results)
            self._all(template.body)
            if not self._scopes.changed and results == self._of.results:
                return

    def _all(self, body: Sequence[nodes.Node]) -> None:
        for node in body:
            self._visit(node)

    def _visit(self, node: nodes.Node) -> None:
        match node:
            case nodes.Output():
                self._written[-1] |= self._of.union(node.nodes) | self._counted
            case nodes.If():
                self._if(node)
            case nodes.For():
                self._for(node)
            case nodes.Assign():
                self._assign(node.target, node.node)
            case nodes.AssignBlock():
                with self._writing() as written:
                    self._all(node.body)
                label = written[0]
                if node.filter is not None:
                    label = self._filtered(node.filter, label)
                self._put(node.target, label | self._counted)
            case nodes.Macro():
                self._macro(node)
            case nodes.CallBlock():
                self._call_block(node)
            case nodes.FilterBlock():
                with self._writing() as written:
                    self._all(node.body)
                self._written[-1] |= self._filtered(node.filter, written[0])
            case nodes.With():
                with self._scopes.inside(node):
                    for target, value in zip(node.targets, node.values, strict=True):
                        self._assign(target, value)
                    self._all(node.body)
            case nodes.ExprStmt():
                self._of.label(node.node)
            case _ if isinstance(node, _LOADING):
                self._report(node, Rule.OTHER_TEMPLATE, "loads another template, and there is none")
            case _:
                self._all(list(node.iter_child_nodes()))

    @contextmanager
    def _writing(self) -> Iterator[list[Label]]:
        """Collect what is written inside; the one element of the list is filled when the block ends."""
        self._written.append(Label.CLEAN)
        result = [Label.CLEAN]
        yield result
        result[0] = self._written.pop()

    def _filtered(self, chain: nodes.Filter, label: Label) -> Label:
        inner = chain.node
        if isinstance(inner, nodes.Filter):
            label = self._filtered(inner, label)
        return self._of.filters.filter_of(chain, label)

    def _if(self, node: nodes.If) -> None:
        self._of.decide(node.test)
        before = self._counted
        if self._only_parts(node.test):
            self._counted = Label.CLEAN
        self._all(node.body)
        self._counted = before
        for other in node.elif_:
            self._visit(other)
        self._all(node.else_)

    def _for(self, node: nodes.For) -> None:
        held = self._of.label(node.iter)
        before = self._counted
        with self._scopes.inside(node):
            secret = bool(held & SECRET)
            element = _element(held)
            counters = Label.DERIVED if secret else Label.CLEAN
            known = {"previtem": element, "nextitem": element, "first": Label.CLEAN, "last": Label.CLEAN, "": counters}
            for name, label in known.items():
                self._scopes.assign(f"loop.{name}", label, None)
            self._scopes.assign("loop", derived(element) | Label.DERIVED, None)  # Under another name it is anything.
            constants = self._of.constants(node.iter)
            self._put(node.target, element, None if constants is None else set(constants))
            if node.test is not None:
                self._of.decide(node.test)
            if secret:
                self._counted = Label.DERIVED
            self._all(node.body)
        self._counted = before
        self._all(node.else_)

    def _only_parts(self, test: nodes.Node) -> bool:
        """Whether a condition holds for parts of a message only, never for the characters of a text."""
        match test:
            case nodes.And():
                return self._only_parts(test.left) or self._only_parts(test.right)
            case nodes.Or():
                return self._only_parts(test.left) and self._only_parts(test.right)
            case nodes.Compare() if len(test.ops) == 1:
                operator, other = test.ops[0].op, test.ops[0].expr
                if operator == "in":
                    return self._of.label(other) == Label.PART
                kind = (
                    isinstance(test.expr, nodes.Getattr | nodes.Getitem)
                    and self._of.label(test.expr.node) == Label.PART
                )
                return kind and operator == "eq" and isinstance(self._of.constant(other), str)
            case nodes.Test():
                return test.name == "mapping" and self._of.label(test.node) == Label.PART
            case _:
                return False

    def _assign(self, target: nodes.Node, value: nodes.Node) -> None:
        if isinstance(target, nodes.Name):
            self._of.bind(target.name, value, also=self._counted)
        elif (
            isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple) and len(target.items) == len(value.items)
        ):
            for one, its in zip(target.items, value.items, strict=True):
                self._assign(one, its)
        else:
            self._put(target, self._of.label(value) | self._counted)

    def _put(self, target: nodes.Node, label: Label, constants: set[object] | None = None) -> None:
        match target:
            case nodes.Name():
                self._scopes.assign(target.name, label, constants)
            case nodes.NSRef():
                self._scopes.assign_attribute(target.attr, label)
            case _:
                for one in target.iter_child_nodes():
                    self._put(one, label)

    def _macro(self, node: nodes.Macro) -> None:
        with self._scopes.inside(node), self._writing() as written:
            for parameter, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                self._of.bind(parameter.name, default)
            for parameter in node.args:
                self._scopes.assign(parameter.name, Label.CLEAN, set())
            self._all(node.body)
        self._of.results[id(node)] = self._of.results.get(id(node), Label.CLEAN) | written[0]

    def _call_block(self, node: nodes.CallBlock) -> None:
        """The block's text reaches its macro as `caller()`, which is taken as anything that was made from what is in it."""
        with self._scopes.inside(node), self._writing() as written:
            for parameter in node.args:
                self._scopes.assign(parameter.name, Label.TOOLS | Label.DERIVED, None)
            self._all(node.body)
        label = derived(written[0])
        for macros in self._of.macros.values():
            for macro in macros:
                self._scopes.assign("caller", label, None, inside=macro)
        self._written[-1] |= self._of.label(node.call) | label


def _element(held: Label) -> Label:
    """What a loop's variable is."""
    found = held & (Label.TOOLS | Label.CALLS)
    if held & Label.MESSAGES:
        found |= Label.MESSAGE
    if held & Label.TEXT:
        found |= Label.PART
    if held & Label.PIECES:
        found |= Label.TEXT
    if held & (Label.DERIVED | Label.LENGTH | Label.PART | Label.MESSAGE):
        found |= Label.DERIVED
    return found
