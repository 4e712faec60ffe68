# SPDX-License-Identifier: MIT
"""A drawing in SVG: few shapes, colours for light and dark, nothing from outside."""
import math
from xml.etree import ElementTree

NAMESPACE = "http://www.w3.org/2000/svg"

STYLE = """
text { font: 12px sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: bold; }
.head { font-weight: bold; }
.small { font-size: 10px; fill: #57606a; }
.page { fill: #ffffff; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.goal { stroke: #24292f; stroke-width: 1.5; }
.line { fill: none; stroke-width: 2; }
.range { stroke-width: 1; } .passes { stroke-width: 4; opacity: 0.45; }
.met, .ipcfs { stroke: #0969da; } .met.dot, .ipcfs.dot { fill: #0969da; }
.missed { stroke: #bc4c00; } .missed.dot { fill: #bc4c00; }
.native { stroke: #57606a; } .native.dot { fill: #57606a; }
.floor { stroke: #1a7f37; stroke-dasharray: 5 3; } .floor.dot { fill: #1a7f37; stroke-dasharray: none; }
.band { stroke: none; opacity: 0.15; } .band.ipcfs { fill: #0969da; } .band.native { fill: #57606a; }
.band.floor { fill: #1a7f37; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .small { fill: #9198a1; } .page { fill: #0d1117; } .grid { stroke: #30363d; } .goal { stroke: #e6edf3; }
.met, .ipcfs { stroke: #58a6ff; } .met.dot, .ipcfs.dot, .band.ipcfs { fill: #58a6ff; }
.missed { stroke: #f0883e; } .missed.dot { fill: #f0883e; }
.native { stroke: #9198a1; } .native.dot, .band.native { fill: #9198a1; }
.floor { stroke: #3fb950; } .floor.dot, .band.floor { fill: #3fb950; }
}
"""


class Drawing:
    """What is drawn later lies above what was drawn before. Lengths are pixels, from the top left corner."""

    def __init__(self, width, height, title):
        self.root = ElementTree.Element("svg", {"xmlns": NAMESPACE, "viewBox": f"0 0 {width} {height}", "width": str(width),
                                                "height": str(height), "role": "img"})
        self.add("title").text = title
        self.add("style").text = STYLE
        self.add("rect", "page", x=0, y=0, width=width, height=height)

    def add(self, name, look="", **attributes):
        """The names of attributes have _ in place of -."""
        shown = {key.replace("_", "-"): f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
                 for key, value in attributes.items()}
        return ElementTree.SubElement(self.root, name, ({"class": look} if look else {}) | shown)

    def text(self, x, y, text, look="", anchor="start"):
        self.add("text", look, x=x, y=y, text_anchor=anchor).text = text

    def line(self, x1, y1, x2, y2, look):
        self.add("line", look, x1=x1, y1=y1, x2=x2, y2=y2)

    def dot(self, x, y, look, radius=3.0):
        self.add("circle", f"{look} dot", cx=x, cy=y, r=radius)

    def diamond(self, x, y, look, radius=4.5):
        points = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
        self.add("polygon", f"{look} dot", points=joined(points))

    def path(self, points, look):
        self.add("polyline", f"{look} line", points=joined(points))

    def band(self, points, look):
        self.add("polygon", f"{look} band", points=joined(points))

    def __str__(self):
        ElementTree.indent(self.root, "")
        return ElementTree.tostring(self.root, encoding="unicode")


def joined(points):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


class LogScale:
    """From values to pixels; what is beyond the ends is at them."""

    def __init__(self, low, high, start, end):
        self.low = math.log10(low)
        self.high = max(math.log10(high), self.low + 0.1)
        self.start = start
        self.end = end

    def __call__(self, value):
        at = math.log10(value) if value > 0 else self.low
        at = min(max(at, self.low), self.high)
        return self.start + (self.end - self.start) * (at - self.low) / (self.high - self.low)

    def ticks(self):
        """At powers of ten; at 2 and 5 of them, too, where there would be one only."""
        powers = [10.0 ** power for power in range(math.floor(self.low), math.floor(self.high) + 1)]
        for steps in ((1,), (1, 2, 5)):
            found = [power * step for power in powers for step in steps if self.low <= math.log10(power * step) <= self.high]
            if len(found) > 1:
                break
        return found
