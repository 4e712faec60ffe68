# SPDX-License-Identifier: MIT
"""What a measurement says of the target of its row."""

# Of the row, what is of use to those who read the results.
KEPT = ("sense", "base", "target", "slack", "size", "rate", "throughput", "path", "curve", "x")


def meets(value, of):
    """Whether the value is on the right side of the target; None: there is no target."""
    if of["target"] is None:
        return None
    if of["sense"] == "speed":
        return value >= of["target"] - of["slack"]
    return value <= of["target"] + of["slack"]


def judged(row, result):
    """The row and its result in one, with the ratio in the sense of the target, and whether that is met."""
    found = {"row": row.label, **{name: getattr(row, name) for name in KEPT}, **result}
    if "error" in result:
        return found
    cost = result["ways"]["ipcfs"]["ratio"]
    if row.sense == "speed":
        found |= {"value": 1 / cost["median"], "low": 1 / cost["p90"], "high": 1 / cost["p10"]}
    else:
        found |= {"value": cost["median"], "low": cost["p10"], "high": cost["p90"]}
    return found | {"met": meets(found["value"], found)}
