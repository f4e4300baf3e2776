"""Shapes of the rendered sample pictures: the six classes, and clutter of no class.

A figure is a list of parts, painted in turn; neighbours of the same fill are painted at once. Each
part is an outline_N2 of (u, v) points in the own coordinates of the thing, about [-1, 1] with v
pointing down, and a fill. Every call draws another individual: proportions, pose, colours and
sometimes the build are random.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from components.dataset.sample.textures import (
    PALETTE,
    Fill,
    bricks,
    checks,
    dotted_sphere,
    fade,
    foliage,
    mix,
    petal,
    seeds,
    shingles,
    stripes,
    tone,
    two_tones,
)


class Part(NamedTuple):
    """An outline_N2, a closed polygon, and what it is filled with: one colour_3 or a texture."""

    outline: np.ndarray
    fill: np.ndarray | Fill


Figure = list[Part]

_CIRCLE_N2 = np.stack([f(np.arange(36) * np.pi / 18) for f in (np.cos, np.sin)], axis=-1)
_HALF_CIRCLE_N2 = np.stack([f(np.arange(4, 13) * np.pi / 8) for f in (np.cos, np.sin)], axis=-1)
_BALL = 0.74


# === Outlines ===


def polygon(*points: tuple[float, float]) -> np.ndarray:
    """An outline through the given points."""
    return np.float32(points)


def ellipse(u: float, v: float, radius_u: float, radius_v: float, turn: float = 0) -> np.ndarray:
    """An ellipse around (u, v), turned by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    axes_22 = np.array([[radius_u * cos, radius_u * sin], [-radius_v * sin, radius_v * cos]])
    return _CIRCLE_N2 @ axes_22 + (u, v)


def limb(
    start: tuple[float, float], end: tuple[float, float], start_radius: float, end_radius: float
) -> np.ndarray:
    """A rounded bar from `start` to `end` that tapers from one radius to the other."""
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    cos, sin = math.cos(angle), math.sin(angle)
    cap_N2 = _HALF_CIRCLE_N2 @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([cap_N2 * start_radius + start, end - cap_N2 * end_radius])


def rectangle(u: float, v: float, half_u: float, half_v: float) -> np.ndarray:
    """An upright rectangle around (u, v)."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (half_u, half_v) + (u, v)


def lump(
    rng: np.random.Generator, u: float, v: float, radius: float, bumps: int, depth: float
) -> np.ndarray:
    """A round outline with about `bumps` bulges of `depth` times its radius."""
    angle_N = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    wave_N = np.sin(bumps * angle_N + rng.uniform(0, 6))
    wave_N = wave_N + 0.6 * np.sin((bumps + 3) * angle_N + rng.uniform(0, 6))
    radius_N = radius * (1 + depth * wave_N)
    return np.stack([u + radius_N * np.cos(angle_N), v + radius_N * np.sin(angle_N)], axis=-1)


# === Classes ===


def zebra(rng: np.random.Generator) -> Figure:
    """A striped animal on thin legs, grazing to alert."""
    light_3 = tone(rng, "white", "cream", "white", "sand", "amber", "sky", "rose")
    dark_3 = tone(rng, "charcoal", "navy", "charcoal", "cocoa", "plum")
    turns = rng.uniform(2.2, 3.4)
    coat = stripes(rng, light_3, dark_3, turns, rng.uniform(-0.25, 0.25))
    collar = stripes(rng, light_3, dark_3, turns, 0.8)
    socks = stripes(rng, light_3, dark_3, turns * 1.3, np.pi / 2)
    girth, leg, lift = rng.uniform(0.27, 0.36), rng.uniform(0.045, 0.065), rng.uniform(-0.75, 0.1)
    hoof_v = rng.uniform(0.85, 1.0)
    head = (0.86 + 0.1 * lift, lift)
    nose = (head[0] + 0.26, lift + 0.16)
    figure = [Part(limb((-0.66, -0.12), (-0.86, 0.42), 0.035, 0.06), dark_3)]
    legs = [(hip, hip + rng.uniform(-0.2, 0.2)) for hip in (-0.46, 0.5, -0.56, 0.38)]
    for hip, foot in legs:
        figure.append(Part(limb((hip, 0.15), (foot, hoof_v), leg * 2, leg), socks))
    for _, foot in legs:
        hoof = limb((foot, hoof_v), (foot + 0.03, hoof_v), leg * 1.15, leg)
        figure.append(Part(hoof, dark_3))
    figure += [
        Part(limb((0.36, -0.2), (head[0] - 0.1, head[1] - 0.12), 0.2, 0.09), dark_3),
        Part(limb((0.42, 0.0), head, 0.25, 0.13), collar),
        Part(limb((-0.42, 0.0), (0.42, 0.02), girth, girth * 0.95), coat),
        Part(ellipse(head[0] - 0.06, lift - 0.16, 0.045, 0.12, -0.3), dark_3),
        Part(limb(head, nose, 0.135, 0.085), collar),
        Part(ellipse(nose[0] + 0.02, nose[1] + 0.01, 0.08, 0.075), dark_3),
        Part(ellipse(head[0] + 0.06, lift - 0.02, 0.03, 0.03), PALETTE["charcoal"]),
    ]
    return figure


def house(rng: np.random.Generator) -> Figure:
    """Brick walls under a tiled roof, with a door, windows and often a chimney."""
    wall_3 = tone(rng, "brick", "terracotta", "sand", "silver", "coral", "slate", "cream")
    wall = bricks(rng, wall_3, mix(wall_3, tone(rng, "white", "charcoal"), 0.55))
    roof_3 = tone(rng, "terracotta", "slate", "charcoal", "plum", "teal", "cocoa", "denim")
    trim_3, door_3 = tone(rng, "white", "cream"), tone(rng, "teal", "navy", "forest", "mustard")
    pane = fade(tone(rng, "sky", "navy"), tone(rng, "mint", "mustard", "navy"))
    side, eaves, ridge = rng.uniform(0.55, 0.9), rng.uniform(-0.35, 0.0), rng.uniform(0, 0.5)
    top = eaves - rng.uniform(0.45, 0.7)
    figure = [Part(polygon((-side, eaves), (side, eaves), (side, 0.9), (-side, 0.9)), wall)]
    if rng.random() < 0.7:
        u = side * rng.uniform(0.3, 0.6)
        figure.append(Part(rectangle(u, top, 0.09, 0.3), wall))
    over = side + 0.13
    roof = polygon((-over, eaves + 0.04), (-ridge, top), (ridge, top), (over, eaves + 0.04))
    figure.append(Part(roof, shingles(rng, roof_3)))
    figure.append(Part(rectangle(0, eaves + 0.05, over - 0.04, 0.03), roof_3 * 0.7))
    door_u = rng.uniform(-0.5, 0.5) * side
    figure.append(Part(rectangle(door_u, 0.64, 0.16, 0.27), trim_3))
    figure.append(Part(rectangle(door_u, 0.67, 0.12, 0.24), door_3))
    middle = (eaves + 0.9) / 2
    windows = [
        (u, eaves + 0.26 if abs(u - door_u) < 0.34 else middle + 0.02)
        for u in (-0.62 * side, 0.0, 0.62 * side)
    ]
    figure += [Part(rectangle(u, v, 0.14, 0.15), trim_3) for u, v in windows]
    figure += [Part(rectangle(u, v, 0.105, 0.115), pane) for u, v in windows]
    figure += [Part(rectangle(u, v, 0.015, 0.115), trim_3) for u, v in windows]
    return figure + [Part(rectangle(u, v, 0.105, 0.015), trim_3) for u, v in windows]


def tree(rng: np.random.Generator) -> Figure:
    """A leafy crown (round, tall or a conifer's tiers) on a thin trunk with branches."""
    leaf_3 = tone(rng, "leaf", "forest", "olive", "sage", "leaf", "mustard", "terracotta", "rose")
    leaves = foliage(rng, leaf_3)
    bark_3 = tone(rng, "cocoa", "charcoal", "slate", "cream")
    lean, girth = rng.uniform(-0.08, 0.08), rng.uniform(0.04, 0.08)
    trunk = Part(limb((lean, -0.4), (0, 0.97), girth * 0.6, girth * 1.3), bark_3)
    kind = rng.choice(["round", "tall", "conifer"], p=[0.5, 0.25, 0.25])
    if kind == "conifer":
        width = rng.uniform(0.45, 0.65)
        tiers = [(-0.98, 0.62), (-0.6, 0.82), (-0.2, 1.0)]
        tier = polygon((0, 0), (width, 0.75), (0, 0.66), (-width, 0.75))
        return [trunk] + [
            Part(tier * (wide, 1) + (lean, top), leaves) for top, wide in reversed(tiers)
        ]
    if kind == "tall":
        crown = lump(rng, 0, 0, 1, 9, 0.05) * np.float32([rng.uniform(0.28, 0.4), 0.72])
        return [trunk, Part(crown + np.float32([lean, -0.25]), leaves)]
    figure = [
        trunk,
        Part(limb((0, 0.35), (-0.35, -0.1), girth * 0.7, girth * 0.5), bark_3),
        Part(limb((0, 0.2), (0.35, -0.2), girth * 0.7, girth * 0.5), bark_3),
    ]
    for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        u, v = lean + 0.42 * np.cos(angle), -0.38 + 0.3 * np.sin(angle)
        figure.append(Part(lump(rng, u, v, rng.uniform(0.25, 0.36), 6, 0.06), leaves))
    return [*figure, Part(lump(rng, lean, -0.4, 0.42, 7, 0.05), leaves)]


def ball(rng: np.random.Generator) -> Figure:
    """A dotted ball with a highlight."""
    ground_3, dot_3 = two_tones(rng)
    if rng.random() < 0.5:
        ground_3, dot_3 = dot_3, ground_3
    shine = ellipse(-0.26, -0.31, 0.12, 0.07, -0.7)
    return [
        Part(ellipse(0, 0, _BALL, _BALL), dotted_sphere(rng, ground_3, dot_3, _BALL)),
        Part(shine, mix(ground_3, PALETTE["white"], 0.75)),
    ]


def flower(rng: np.random.Generator) -> Figure:
    """Petals round a seedy heart, on a thin bent stem with leaves."""
    outer_3 = tone(rng, "rose", "coral", "lavender", "white", "mustard", "sky", "plum")
    inner_3 = tone(rng, "cream", "plum", "coral", "white", "amber")
    stem_3 = tone(rng, "leaf", "forest", "olive", "sage")
    heart_3 = tone(rng, "mustard", "amber", "cocoa", "charcoal")
    count, bend = int(rng.integers(5, 10)), rng.uniform(-0.3, 0.3)
    head_v, reach = -0.32, 0.68
    wide = reach * rng.uniform(1.5, 2.0) / count
    bent = (bend, 0.42)
    figure = [
        Part(limb((0, head_v), bent, 0.045, 0.045), stem_3),
        Part(limb(bent, (bend * 0.5, 0.97), 0.045, 0.055), stem_3 * 0.9),
    ]
    for side in (-1, 1):
        leaf = ellipse(bend + side * 0.2, 0.55 + 0.1 * side, 0.26, 0.085, -0.5 * side)
        figure.append(Part(leaf, stem_3 * (1.1 + 0.1 * side)))
    fill = petal(inner_3, outer_3, head_v, reach * 0.9)
    pointed = rng.random() < 0.35
    for angle in 2 * np.pi * np.arange(count) / count + rng.uniform(0, 1):
        cos, sin = np.cos(angle), np.sin(angle)
        if pointed:
            tip = (reach * cos, head_v + reach * sin)
            outline = limb((0.33 * cos, head_v + 0.33 * sin), tip, wide, 0.01)
        else:
            outline = ellipse(0.41 * cos, head_v + 0.41 * sin, 0.28, wide * 0.9, angle)
        figure.append(Part(outline, fill))
    return [*figure, Part(ellipse(0, head_v, 0.21, 0.21), seeds(heart_3, head_v))]


def flag(rng: np.random.Generator) -> Figure:
    """A checked cloth (oblong, pennant or swallowtail) waving from a thin pole."""
    light_3, dark_3 = two_tones(rng)
    depth, pace, phase = rng.uniform(0.02, 0.07), rng.uniform(3, 6), rng.uniform(0, 6)

    def wave(u_N: np.ndarray) -> np.ndarray:
        return depth * np.sin(pace * u_N + phase)

    far, drop = rng.uniform(0.65, 1.0), rng.uniform(0.8, 1.1)
    u_N = np.linspace(-0.58, far, 16)
    share_N = (u_N + 0.58) / (far + 0.58)
    narrow_N = share_N * (0.4 * drop if (kind := rng.integers(3)) == 1 else 0)
    upper_N2 = np.stack([u_N, -0.9 + wave(u_N) + narrow_N], axis=-1)
    lower_N2 = np.stack([u_N, -0.9 + drop + wave(u_N) - narrow_N], axis=-1)
    notch = np.float32([[far - 0.35, -0.9 + drop / 2]]) if kind == 2 else np.zeros((0, 2))
    cloth = np.concatenate([upper_N2, notch, lower_N2[::-1]])
    pole_3 = tone(rng, "cocoa", "silver", "charcoal", "white", "mustard")
    return [
        Part(limb((-0.6, -0.97), (-0.6, 1.0), 0.045, 0.05), pole_3),
        Part(cloth, checks(light_3, dark_3, rng.uniform(3, 4.8), wave)),
        Part(ellipse(-0.6, -0.97, 0.065, 0.065), pole_3 * 0.8),
    ]


CLASSES: dict[str, Callable[[np.random.Generator], Figure]] = {
    "zebra": zebra,
    "house": house,
    "tree": tree,
    "ball": ball,
    "flower": flower,
    "flag": flag,
}


# === Clutter ===


def clutter(rng: np.random.Generator) -> Figure:
    """A thing of no class, in the colours of the classes: stone, pole, balloon, kite, crate…"""
    color_3, other_3 = tone(rng), tone(rng)
    turn = rng.uniform(0, np.pi)
    shade = fade(np.minimum(color_3 * 1.12, 255), color_3 * 0.8)
    match int(rng.integers(7)):
        case 0:
            return [Part(lump(rng, 0, 0, 0.8, 3, 0.09), shade)]
        case 1:
            return [Part(limb((0, -1), (0, 1), 0.04, 0.05), color_3)]
        case 2:
            string = limb((0, 0.2), (0.1, 1.0), 0.02, 0.02)
            return [Part(string, other_3), Part(ellipse(0, -0.35, 0.5, 0.58), shade)]
        case 3:
            kite = polygon((0, -0.9), (0.55, -0.2), (0, 0.8), (-0.55, -0.2))
            half = polygon((0, -0.9), (0.55, -0.2), (0, 0.8))
            return [Part(kite, shade), Part(half, other_3)]
        case 4:
            return [
                Part(rectangle(0, 0, 0.7, 0.6), color_3 * 0.75),
                Part(rectangle(0, 0, 0.58, 0.48), shade),
                Part(limb((-0.5, -0.4), (0.5, 0.4), 0.08, 0.08), color_3 * 0.75),
            ]
        case 5:
            return [
                Part(limb((0, 0), (0.8 * np.cos(a), 0.8 * np.sin(a)), 0.24, 0.07), shade)
                for a in turn + np.arange(5) * 2 * np.pi / 5
            ]
        case _:
            return [
                Part(ellipse(0, 0, 0.85, 0.36, turn), shade),
                Part(ellipse(0, 0, 0.8, 0.03, turn), color_3 * 0.7),
            ]
