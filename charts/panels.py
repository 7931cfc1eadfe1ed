"""Panels and variables of Grafana's dashboards, with what all of ours have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import barchart, bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HEIGHT = 8, 7
"""Of a panel, unless it says otherwise; a row is 24 wide."""

Query = tuple[str, str]
"""Expression and legend."""


def board(name: str, title: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard without panels, with a data source, a namespace, and links to its siblings."""
    siblings = dashboard.DashboardLink("bitagent").type(models.DashboardLinkType.DASHBOARDS).tags(["bitagent"])
    return (
        dashboard.Dashboard(title)
        .uid(f"bitagent-{name}")
        .description(description)
        .tags(["bitagent"])
        .refresh("1m")
        .time("now-24h", "now")
        .timezone("browser")
        .editable()
        .link(siblings.include_vars(True).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(variable("namespace", "bitagent_operator_leader", several=True, within=""))
    )


def variable(label: str, metric: str, *, several: bool, within: str = '{namespace=~"$namespace"}') -> Any:
    """Return the variable with a label's values, of the series of a metric."""
    made = (
        dashboard.QueryVariable(label)
        .datasource(SOURCE)
        .query({"query": f"label_values({metric}{within}, {label})", "refId": label})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC if several else models.VariableSort.ALPHABETICAL_DESC)
    )
    if not several:
        return made
    return made.multi(True).include_all(True).all_value(".*").current(models.VariableOption(True, "All", "$__all"))


def graph(
    title: str,
    help_: str,
    unit: str,
    *queries: Query,
    limits: tuple[float, float] | None = None,
    stacked: bool = False,
    width: int = WIDTH,
) -> timeseries.Panel:
    """Return a graph over time, with `limits` from which lines are to be looked at, and looked at now."""
    made = _common(timeseries.Panel(), title, help_, unit, width).fill_opacity(20 if stacked else 0)
    made = made.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    if stacked:
        made = made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if limits is not None:
        made = made.thresholds(_steps(*limits)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.LINE)
        )
    if unit == "percentunit":
        made = made.min(0).max(1)
    for number, (expr, legend) in enumerate(queries):
        made = made.with_target(_query(expr, number).legend_format(legend).range())
    return made


def number(title: str, help_: str, unit: str, query: Query, *, alarm: bool = False, width: int = 4) -> stat.Panel:
    """Return a present number, or as many as the query has series; with `alarm` any above 0 is red."""
    expr, legend = query
    made = _common(stat.Panel(), title, help_, unit, width, height=4).graph_mode(options.BigValueGraphMode.NONE)
    made = made.reduce_options(_last())
    made = made.thresholds(_steps(1)) if alarm else made.color_mode(options.BigValueColorMode.NONE)
    if unit == "name":
        made = made.unit("none").text_mode(options.BigValueTextMode.NAME)
    return made.with_target(_query(expr, 0).legend_format(legend).instant())


def bars(title: str, help_: str, unit: str, query: Query, *, width: int = WIDTH) -> bargauge.Panel:
    """Return a bar for each series of a query now."""
    expr, legend = query
    made = _common(bargauge.Panel(), title, help_, unit, width).orientation(options.VizOrientation.HORIZONTAL)
    made = made.reduce_options(_last()).color_scheme(_palette())
    return made.with_target(_query(expr, 0).legend_format(legend).instant())


def matrix(title: str, help_: str, unit: str, expr: str, *, row: str, column: str, width: int) -> barchart.Panel:
    """Return a stacked bar for each value of the label `row`, with a part for each value of the label `column`."""
    made = _common(barchart.Panel(), title, help_, unit, width, height=2 * HEIGHT)
    made = made.stacking(options.StackingMode.NORMAL).orientation(options.VizOrientation.HORIZONTAL)
    grouped = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "zero"}
    return made.with_transformation(models.DataTransformerConfig("groupingToMatrix", options=grouped)).with_target(
        _query(expr, 0).format(PromQueryFormat.TABLE).instant()
    )


def overview(title: str, help_: str, columns: Sequence[tuple[str, str, str]]) -> table.Panel:
    """Return a table with a row for each namespace and pod, and columns of title, unit and expression."""
    made = _common(table.Panel(), title, help_, "none", 24, height=9)
    names = {f"Value #{_ref(n)}": title for n, (title, _, _) in enumerate(columns)}
    for n, (title_, unit, expr) in enumerate(columns):
        made = made.with_target(_query(f"max by (namespace, pod) ({expr})", n).format(PromQueryFormat.TABLE).instant())
        made = made.override_by_name(title_, [models.DynamicConfigValue("unit", unit)])
    organize = {"excludeByName": {"Time": True}, "renameByName": {"namespace": "Namespace", "pod": "Pod"} | names}
    return made.with_transformation(models.DataTransformerConfig("merge", options={})).with_transformation(
        models.DataTransformerConfig("organize", options=organize)
    )


def _common(panel: Any, title: str, help_: str, unit: str, width: int, *, height: int = HEIGHT) -> Any:
    named = panel.title(title).datasource(SOURCE).unit(unit).span(width).height(height)
    return named.description(help_) if help_ else named


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _palette() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC)


def _query(expr: str, position: int) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).ref_id(_ref(position))


def _ref(position: int) -> str:
    return chr(ord("A") + position)


def _steps(*limits: float) -> dashboard.ThresholdsConfig:
    colors = ("green", "orange", "red") if len(limits) == 2 else ("green", "red")
    steps = [models.Threshold(value, color) for value, color in zip((None, *limits), colors, strict=True)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
