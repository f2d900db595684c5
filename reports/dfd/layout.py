"""The layout of a data flow diagram: which zone, component and flow stands where."""

from __future__ import annotations

import math
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Final
from unicodedata import east_asian_width

from reports.dfd.shapes import Arrow, Badges, Box, Drawing, Label, Pinned
from reports.text.safe import shown
from threats.system import Component, Design, Flow

KINDS: Final = ("hospital", "wan", "operator", "vendor", "public")  # of zones, from left to right
MOST_RANKS: Final = 5  # of components beside each other in a zone
BOX: Final = 170  # width of a component
TEXT: Final = 24  # letters in a line of a component, or of a flow's label
LETTER: Final = 6.4  # width
LINE: Final = 15  # height
BADGE: Final = 22  # distance of two badges
BADGES: Final = 7  # in a line
PAD: Final = 14  # between a component and its zone's edge
GAP: Final = 26  # between components, and between zones
TRACK: Final = 9  # between lines that run side by side
LANE: Final = 12  # between flows that run past other components
TITLE: Final = 30  # height of a zone's title


def _wrapped(text: str, most_lines: int = 3, width: int = TEXT) -> list[str]:
    """The first lines of a text, each of at most so many letters; wide signs take two places."""
    plain = str(shown(text)).replace("\n", " ")
    wide = any(east_asian_width(sign) in "WF" for sign in plain)
    return textwrap.wrap(
        plain,
        max(3, width // 2 if wide else width),
        max_lines=most_lines,
        placeholder=" \N{HORIZONTAL ELLIPSIS}",
    )


class Layout:
    """The places of everything in a diagram; those that others depend on are worked out first."""

    def __init__(self, design: Design, badges: Badges) -> None:
        self.design = design
        self.badges = badges
        self.zone_kind = {zone.id: zone.kind for zone in design.zones}
        self.enemies = defaultdict[str, list[str]](list)
        for adversary in design.adversaries:
            for place in adversary.at:
                self.enemies[place].append(adversary.id)
        self.flow_text = {flow.id: _flow_lines(flow) for flow in design.flows}
        self.pitch = max(map(self._label_height, design.flows), default=0) + 12
        self.rank = self._ranks()
        self.column = self._columns()
        self.first: dict[str, int] = {}  # the first rank of each kind of zone, counted from left
        total = 0
        for kind, zones in self.column.items():
            self.first[kind] = total
            total += self._width_of(zones)
        self.n_ranks = total
        self.zone_of = {one.id: one.zone for one in design.components}
        self.start = {zone.id: self._start(zone.id) for zone in design.zones}
        self.at = {one.id: self.start[one.zone] + self.rank[one.id] for one in design.components}

    def drawing(self) -> Drawing:
        """The shapes of the diagram at their places."""
        sides = self._sides()
        sizes = {one.id: self._size(one, sides) for one in self.design.components}
        inner, outer = self._lanes()
        left, right, spaces = self._across()
        ys, zone_boxes, bottom = self._down(sizes, inner, left, right)
        boxes = {
            one.id: self._component(one, left[self.at[one.id]], ys[one.id], sizes[one.id])
            for one in self.design.components
        }
        ports = self._ports(sides, boxes)
        lanes = {
            flow: zone_boxes[zone].y + zone_boxes[zone].height - LANE * (place + 1)
            for zone, ones in inner.items()
            for place, flow in enumerate(ones)
        }
        lanes |= {flow: bottom + LANE * (place + 1) for place, flow in enumerate(outer)}
        arrows = tuple(self._arrows(boxes, ports, lanes, left, right, spaces))
        height = bottom + LANE * len(outer) + PAD
        return Drawing(
            width=right[-1] + spaces[-1] + PAD,
            height=height,
            zones=tuple(zone_boxes.values()),
            components=tuple(boxes.values()),
            flows=arrows,
        )

    def _label_height(self, flow: Flow) -> int:
        n_badges = len(self.badges.get(flow.id, ()))
        return LINE * len(self.flow_text[flow.id]) + BADGE * -(-n_badges // BADGES)

    def _ranks(self) -> dict[str, int]:
        """How far right in its zone a component stands: behind those before it that it is joined
        with by a flow.
        """
        order = {one.id: place for place, one in enumerate(self.design.components)}
        zone = {one.id: one.zone for one in self.design.components}
        rank = dict.fromkeys(order, 0)
        joined = [
            sorted((flow.from_, flow.to), key=lambda id_: order[id_])
            for flow in self.design.flows
            if zone[flow.from_] == zone[flow.to] and flow.from_ != flow.to
        ]
        for first, second in sorted(joined, key=lambda pair: order[pair[0]]):
            rank[second] = min(MOST_RANKS - 1, max(rank[second], rank[first] + 1))
        return rank

    def _columns(self) -> dict[str, list[str]]:
        """Zones by kind, from left to right, so that flows pass as few other columns as can be."""
        zones = {
            kind: found
            for kind in KINDS
            if (found := [zone.id for zone in self.design.zones if zone.kind == kind])
        }
        kind_of = {one.id: self.zone_kind[one.zone] for one in self.design.components}
        pairs = Counter((kind_of[flow.from_], kind_of[flow.to]) for flow in self.design.flows)

        def length(order: Sequence[str]) -> int:
            return sum(n * abs(order.index(a) - order.index(b)) for (a, b), n in pairs.items())

        return {kind: zones[kind] for kind in min(permutations(zones), key=length)}

    def _start(self, zone: str) -> int:
        """The first rank of a zone: a narrow one stands where most of its flows to others go."""
        columns = list(self.column)
        own = columns.index(self.zone_kind[zone])
        sides = 0
        for flow in self.design.flows:
            ends = [self.zone_of[flow.from_], self.zone_of[flow.to]]
            if zone in ends:
                for end in ends:
                    other = columns.index(self.zone_kind[end])
                    sides += (other > own) - (other < own)
        spare = self._width_of(self.column[columns[own]]) - self._width_of([zone])
        return self.first[columns[own]] + (spare if sides > 0 else 0)

    def _width_of(self, zones: Sequence[str]) -> int:
        ranks = [self.rank[one.id] for one in self.design.components if one.zone in zones]
        return max(ranks, default=0) + 1

    def _is_lane(self, flow: Flow) -> bool:
        return abs(self.at[flow.from_] - self.at[flow.to]) > 1

    def _sides(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Flows at the sides of components: by component and side, (flow, the other end)."""
        found = defaultdict[tuple[str, str], list[tuple[str, str]]](list)
        for flow in self.design.flows:
            start = self.at[flow.from_]
            end = self.at[flow.to]
            side = "left" if end < start else "right"
            other = "left" if end > start else "right"
            found[flow.from_, side].append((flow.id, flow.to))
            found[flow.to, other].append((flow.id, flow.from_))
        return found

    def _lanes(self) -> tuple[dict[str, list[str]], list[str]]:
        """Flows past other components: those within a zone, by zone, and all others."""
        inner = defaultdict[str, list[str]](list)
        outer = list[str]()
        for flow in self.design.flows:
            if self._is_lane(flow):
                zone = self.zone_of[flow.from_]
                same = zone == self.zone_of[flow.to]
                (inner[zone] if same else outer).append(flow.id)
        return dict(inner), outer

    def _size(self, one: Component, sides: Mapping[tuple[str, str], Sequence[object]]) -> float:
        n_ports = max(len(sides.get((one.id, side), ())) for side in ("left", "right"))
        lines = len(self._lines(one))
        n_badges = len(self.badges.get(one.id, ()))
        text = LINE * lines + BADGE * -(-n_badges // BADGES) + 26
        return max(64.0, text, n_ports * self.pitch)

    def _lines(self, one: Component) -> list[tuple[str, str]]:
        found = [(line, "name") for line in _wrapped(one.id)]
        if one.tech:
            found += [(line, "soft") for line in _wrapped(one.tech, 2)]
        if one.holds:
            found += [(line, "soft") for line in _wrapped(f"holds {', '.join(one.holds)}")]
        for enemy in self.enemies[one.id]:
            found += [(line, "enemy") for line in _wrapped(f"here: {enemy}")]
        return found

    def _across(self) -> tuple[list[float], list[float], list[float]]:
        """The left and the right edge of each rank, and the width of the space to its right."""
        ends = {self.first[kind] + self._width_of(zones) - 1 for kind, zones in self.column.items()}
        tracks = Counter[int]()
        widths = dict.fromkeys(range(self.n_ranks), 0.0)
        for flow in self.design.flows:
            here, there = sorted((self.at[flow.from_], self.at[flow.to]))
            tracks[here] += 1
            if self._is_lane(flow):
                tracks[there - 1] += 1
            widths[here] = max(widths[here], LETTER * max(map(len, self.flow_text[flow.id])))
            n_badges = min(BADGES, len(self.badges.get(flow.id, ())))
            widths[here] = max(widths[here], BADGE * n_badges)
        left = list[float]()
        right = list[float]()
        spaces = list[float]()
        x = 2.0 * PAD
        for rank in range(self.n_ranks):
            left.append(x)
            right.append(x + BOX)
            edge = PAD if rank in ends else 0
            space = edge + 12 + widths[rank] + TRACK * (tracks[rank] + 1) + 14
            if rank in ends and rank + 1 < self.n_ranks:
                space = max(space + edge, 2 * PAD + GAP)
            if rank == self.n_ranks - 1 and not tracks[rank]:
                space = edge
            spaces.append(space)
            x += BOX + space
        return left, right, spaces

    def _down(
        self,
        sizes: Mapping[str, float],
        inner: Mapping[str, Sequence[str]],
        left: Sequence[float],
        right: Sequence[float],
    ) -> tuple[dict[str, float], dict[str, Box], float]:
        """The top of each component, the boxes of the zones, and where they end."""
        stacks = defaultdict[tuple[str, int], list[str]](list)
        for one in self.design.components:
            stacks[one.zone, self.rank[one.id]].append(one.id)
        content: dict[str, float] = {}
        for zone in self.zone_kind:
            heights = [
                sum(sizes[id_] + GAP for id_ in ids) - GAP
                for (of, _), ids in stacks.items()
                if of == zone
            ]
            content[zone] = max([30.0, *heights])
        above = TITLE + 14 + (self.pitch / 3 if self.design.flows else 0)
        total = {
            zone: above + size + 18 + LANE * len(inner.get(zone, ()))
            for zone, size in content.items()
        }
        tall = {
            kind: sum(total[zone] + GAP for zone in zones) - GAP
            for kind, zones in self.column.items()
        }
        tallest = max(tall.values())
        ys: dict[str, float] = {}
        boxes: dict[str, Box] = {}
        for kind, zones in self.column.items():
            y = PAD + (tallest - tall[kind]) / 2
            for zone in zones:
                first = self.start[zone]
                x = left[first] - PAD
                width = right[first + self._width_of([zone]) - 1] + PAD - x
                lines = _wrapped(f"{zone} ({kind})", 1, int((width - 20) / LETTER))
                title = tuple(Label(text, "title", x + 10, y + 19) for text in lines)
                boxes[zone] = Box(zone, "zone", x, y, width, total[zone], title)
                for (of, _), ids in stacks.items():
                    if of == zone:
                        high = sum(sizes[id_] + GAP for id_ in ids) - GAP
                        next_y = y + above + (content[zone] - high) / 2
                        for id_ in ids:
                            ys[id_] = next_y
                            next_y += sizes[id_] + GAP
                y += total[zone] + GAP
        return ys, boxes, PAD + tallest

    def _component(self, one: Component, x: float, y: float, height: float) -> Box:
        lines = self._lines(one)
        pins = self.badges.get(one.id, ())
        rows = -(-len(pins) // BADGES)
        top = y + (height - LINE * len(lines) - BADGE * rows) / 2
        labels = tuple(
            Label(text, kind, x + BOX / 2, top + LINE * place + 11)
            for place, (text, kind) in enumerate(lines)
        )
        first = top + LINE * len(lines) + BADGE / 2 + 1
        pinned = []
        for row in range(rows):
            some = pins[row * BADGES : (row + 1) * BADGES]
            start = x + BOX / 2 - BADGE * (len(some) - 1) / 2
            pinned += [
                Pinned(badge, start + BADGE * place, first + BADGE * row)
                for place, badge in enumerate(some)
            ]
        return Box(one.id, one.dfd, x, y, BOX, height, labels, tuple(pinned))

    def _ports(
        self,
        sides: Mapping[tuple[str, str], Sequence[tuple[str, str]]],
        boxes: Mapping[str, Box],
    ) -> dict[tuple[str, str, str], list[float]]:
        """Where each flow touches a component: by flow, component and side, from the top."""
        order = {flow.id: place for place, flow in enumerate(self.design.flows)}
        found = defaultdict[tuple[str, str, str], list[float]](list)
        for (id_, side), ends in sides.items():
            box = boxes[id_]
            middle = box.y + box.height / 2
            ranked = sorted(
                ends, key=lambda end: (boxes[end[1]].y + boxes[end[1]].height / 2, order[end[0]])
            )
            for place, (flow, _) in enumerate(ranked):
                y = middle + self.pitch * (place - (len(ranked) - 1) / 2)
                found[flow, id_, side].append(y)
        return found

    def _arrows(
        self,
        boxes: Mapping[str, Box],
        ports: Mapping[tuple[str, str, str], list[float]],
        lanes: Mapping[str, float],
        left: Sequence[float],
        right: Sequence[float],
        spaces: Sequence[float],
    ) -> Iterator[Arrow]:
        used = Counter[int]()

        def track(rank: int) -> float:
            """The next free vertical line in the space right of a rank."""
            used[rank] += 1
            edge = PAD if rank + 1 < self.n_ranks else 0
            return right[rank] + spaces[rank] - edge - 14 - TRACK * (used[rank] - 1)

        for flow in self.design.flows:
            start = self.at[flow.from_]
            end = self.at[flow.to]
            side = "left" if end < start else "right"
            other = "left" if end > start else "right"
            y = ports[flow.id, flow.from_, side][0]
            to_y = ports[flow.id, flow.to, other][-1]
            x = _edge(boxes[flow.from_], side, y)
            to_x = _edge(boxes[flow.to], other, to_y)
            rank = min(start, end)
            at = y if start <= end else to_y
            place = right[rank] + (PAD if self._ends(rank) else 0) + 8, at
            points = [(x, y), (to_x, to_y)]
            if flow.id in lanes:
                lane = lanes[flow.id]
                a = track(start if end > start else start - 1)
                b = track(end - 1 if end > start else end)
                points = [(x, y), (a, y), (a, lane), (b, lane), (b, to_y), (to_x, to_y)]
            elif y != to_y:
                a = track(rank)
                points = [(x, y), (a, y), (a, to_y), (to_x, to_y)]
            yield self._arrow(flow, points, place)

    def _ends(self, rank: int) -> bool:
        """Whether a zone's edge is to the right of a rank."""
        return rank + 1 in (*self.first.values(), self.n_ranks)

    def _arrow(
        self, flow: Flow, points: Sequence[tuple[float, float]], place: tuple[float, float]
    ) -> Arrow:
        x, y = place
        lines = self.flow_text[flow.id]
        pins = self.badges.get(flow.id, ())
        rows = -(-len(pins) // BADGES)
        top = y - 5 - LINE * (len(lines) - 1) - BADGE * rows
        kinds = ["name", *["soft"] * (len(lines) - 1)]
        labels = tuple(
            Label(text, kind, x, top + LINE * number)
            for number, (text, kind) in enumerate(zip(lines, kinds, strict=True))
        )
        pinned = tuple(
            Pinned(
                badge,
                x + BADGE / 2 + BADGE * (number % BADGES),
                y - 14 - BADGE * (rows - 1 - number // BADGES),
            )
            for number, badge in enumerate(pins)
        )
        return Arrow(flow.id, tuple(points), labels, pinned)


def _flow_lines(flow: Flow) -> list[str]:
    found = [*_wrapped(flow.id), *_wrapped(", ".join(flow.carries), 2)]
    if flow.channel is None:
        return [*found, "channel not stated"]
    mutual = "mutual" if flow.channel.mutual else "one-sided"
    secured = f"TLS {flow.channel.tls}, {mutual}" if flow.channel.tls != "none" else "no TLS"
    return [*found, *_wrapped(f"{flow.channel.protocol}, {secured}", 2)]


def _edge(box: Box, side: str, y: float) -> float:
    """Where the edge of a component is at a height; a process has round corners."""
    inside = 0.0
    if box.kind == "process":
        radius = box.corner
        deep = max(box.y + radius - y, y - (box.y + box.height - radius), 0.0)
        inside = radius - math.sqrt(max(0.0, radius**2 - min(deep, radius) ** 2))
    return box.x + inside if side == "left" else box.x + box.width - inside
