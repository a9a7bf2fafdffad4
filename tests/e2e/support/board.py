"""A dashboard of Grafana: what its panels ask."""
import json
import re
import time

from .engine import ROOT


class Board:
    def __init__(self, name):
        self._board = json.loads((ROOT / f"deploy/grafana/dashboards/{name}.json").read_text(encoding="utf-8"))

    def as_asked(self, expression):
        """With the variables as Grafana fills them in when everything is selected."""
        expression = expression.replace("$__rate_interval", "1m")
        for variable in self._board["templating"]["list"]:
            expression = expression.replace(f"${variable['name']}", ".+")
        assert "$" not in expression, f"an unknown variable: {expression}"
        return expression

    def shown(self, prometheus, began):
        """What each query of each panel returns; by the panel's title and the query."""
        now = time.time()
        queries = [(panel["title"], target["expr"], target.get("instant", False)) for panel in self._board["panels"]
                   if panel["type"] != "row" for target in panel["targets"]]
        queries += [(one["name"], one["expr"], False) for one in self._board["annotations"]["list"]]
        return {(title, expression): prometheus.values(self.as_asked(expression)) if instant else
                prometheus.range(self.as_asked(expression), began, now, 2) for title, expression, instant in queries}

    def check_variables(self, prometheus):
        for variable in self._board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            values = prometheus.api(f"label/{label}/values", **{"match[]": self.as_asked(metric)})
            assert values, f"the variable {variable['name']} has no values"
