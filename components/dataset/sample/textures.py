"""Paint of the rendered sample pictures: colours, surfaces of things, and backgrounds.

A `Fill` gives the colour of a surface from the coordinates of a thing, so a texture turns,
scales and mirrors together with the thing that wears it. A background fills a whole picture.
Colours are float32 RGB in [0, 255]; backgrounds keep to soft ones, so that things stand out.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes u_HW and v_HW, coordinates of a thing in about [-1, 1] (v points down), and returns
colour_HW3."""

_COLORS = {
    "amber": 0xF0A04B, "brick": 0xA8483A, "charcoal": 0x353943, "cocoa": 0x6B4A3A,
    "coral": 0xEF7B63, "cream": 0xF4EAD5, "denim": 0x4A6FA5, "forest": 0x2F6B45,
    "leaf": 0x5F9E4C, "lavender": 0xA99BD0, "mint": 0x9FD3B8, "mustard": 0xE2B13C,
    "navy": 0x2E3F5F, "olive": 0x7F8A3C, "plum": 0x7D4A78, "rose": 0xE08FA0,
    "sage": 0x8AA878, "sand": 0xE0C9A0, "silver": 0xC9CED3, "sky": 0x86B8DC,
    "slate": 0x6C7A89, "teal": 0x2F8F8B, "terracotta": 0xC65F43, "white": 0xFAFAF7,
}  # fmt: skip
PALETTE = {
    name: np.float32([value >> 16, value >> 8 & 255, value & 255])
    for name, value in _COLORS.items()
}
_NAMES = tuple(PALETTE)


def tone(rng: np.random.Generator, *names: str) -> np.ndarray:
    """One of the named colours (any, without names), a little lighter, darker or off in hue."""
    names = names or _NAMES
    color_3 = PALETTE[names[rng.integers(len(names))]]
    color_3 = color_3 * rng.uniform(0.88, 1.1) + 7 * rng.standard_normal(3)
    return np.minimum(np.maximum(color_3, 0), 255).astype(np.float32)


def two_tones(rng: np.random.Generator, *names: str) -> tuple[np.ndarray, np.ndarray]:
    """A lighter and a darker colour, at least 80 levels of mean brightness apart."""
    while True:
        first_3, second_3 = tone(rng, *names), tone(rng, *names)
        if abs(first_3.mean() - second_3.mean()) >= 80:
            return (first_3, second_3) if first_3.mean() > second_3.mean() else (second_3, first_3)


def mix(first_3: np.ndarray, second_3: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """`first_3` where `share` is 0, `second_3` where it is 1; colours last."""
    share = np.asarray(share, np.float32)[..., None]
    return first_3 + (second_3 - first_3) * share


def step(value: np.ndarray, softness: float) -> np.ndarray:
    """0 below -softness/2, 1 above softness/2, a ramp between."""
    return np.clip(value / softness + 0.5, 0, 1)


# === Surfaces ===


def fade(top_3: np.ndarray, bottom_3: np.ndarray) -> Fill:
    """From `top_3` at v = -1 to `bottom_3` at v = 1."""
    return lambda u_HW, v_HW: mix(top_3, bottom_3, np.clip(v_HW * 0.5 + 0.5, 0, 1))


def stripes(
    rng: np.random.Generator, light_3: np.ndarray, dark_3: np.ndarray, turns: float, angle: float
) -> Fill:
    """Wavy stripes, `turns` of them per unit, across the direction `angle` (radians)."""
    bend, phase = rng.uniform(0.6, 1.8), rng.uniform(0, 2 * np.pi)
    cos, sin = math.cos(angle), math.sin(angle)

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        along_HW, across_HW = u_HW * cos + v_HW * sin, v_HW * cos - u_HW * sin
        wave_HW = np.sin(2 * np.pi * turns * along_HW + bend * np.sin(5 * across_HW + phase))
        return mix(light_3, dark_3, step(wave_HW, 0.5))

    return fill


def bricks(rng: np.random.Generator, brick_3: np.ndarray, mortar_3: np.ndarray) -> Fill:
    """Courses of bricks, every second one shifted by half a brick, each of its own shade."""
    height, width = rng.uniform(0.11, 0.17), rng.uniform(0.26, 0.4)
    shade_64 = rng.uniform(0.84, 1.14, 64).astype(np.float32)

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        row_HW = np.floor(v_HW / height)
        column_HW = u_HW / width + 0.5 * (row_HW % 2)
        joint_HW = (v_HW / height - row_HW < 0.2) | (column_HW % 1 < 0.09)
        number_HW = (row_HW * 7 + np.floor(column_HW) * 5).astype(np.int32) % 64
        return mix(brick_3 * shade_64[number_HW, None], mortar_3, joint_HW)

    return fill


def shingles(rng: np.random.Generator, color_3: np.ndarray) -> Fill:
    """Rows of rounded roof tiles, each darker towards its lower edge."""
    height, width = rng.uniform(0.1, 0.14), rng.uniform(0.14, 0.22)

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        arch_HW = 0.35 * np.abs(np.sin(np.pi * u_HW / width))
        return color_3 * (1.08 - 0.38 * ((v_HW / height - arch_HW) % 1))[..., None]

    return fill


def foliage(rng: np.random.Generator, color_3: np.ndarray) -> Fill:
    """Clumps of leaves in four tones, lighter towards the top."""
    angle_6, phase_6 = rng.uniform(0, 2 * np.pi, 6), rng.uniform(0, 2 * np.pi, 6)
    pace_6 = rng.uniform(0.8, 1.25, 6) * np.geomspace(9, 44, 6)
    waves_63 = np.stack([pace_6 * np.cos(angle_6), pace_6 * np.sin(angle_6), phase_6], axis=-1)
    tones_43 = color_3 * np.float32([[0.62], [0.84], [1.04], [1.28]])

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        height_HW = 2 - 0.7 * v_HW
        for pace_u, pace_v, phase in waves_63.tolist():
            height_HW += 0.7 * np.sin(pace_u * u_HW + pace_v * v_HW + phase)
        return tones_43[np.clip(height_HW, 0, 3).astype(np.int8)]

    return fill


def dotted_sphere(
    rng: np.random.Generator, ground_3: np.ndarray, dot_3: np.ndarray, radius: float
) -> Fill:
    """Dots in offset rows on a ball of the given radius, crowding towards its rim."""
    pace, dot = rng.uniform(1.9, 3.2) / radius, rng.uniform(0.26, 0.36)
    shift_u, shift_v = rng.uniform(0, 1, 2).tolist()
    angle = rng.uniform(0, np.pi)
    cos, sin = math.cos(angle), math.sin(angle)

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        square_HW = (u_HW * u_HW + v_HW * v_HW) / radius**2
        bulge_HW = pace / np.sqrt(np.maximum(1.35 - square_HW, 0.12))
        y_HW = (v_HW * cos - u_HW * sin) * bulge_HW + shift_v
        x_HW = (u_HW * cos + v_HW * sin) * bulge_HW + shift_u + 0.5 * (np.floor(y_HW) % 2)
        gap_HW = np.hypot(x_HW % 1 - 0.5, y_HW % 1 - 0.5)
        return mix(ground_3, dot_3, step(dot - gap_HW, 0.08))

    return fill


def checks(
    light_3: np.ndarray, dark_3: np.ndarray, cells: float, wave: Callable[[np.ndarray], np.ndarray]
) -> Fill:
    """Squares, `cells` per unit, on a cloth whose height at u is `wave(u)`; lit by its slope."""

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        lift_HW = wave(u_HW)
        cell_HW = np.floor(u_HW * cells) + np.floor((v_HW - lift_HW) * cells)
        light_HW = 1 + 1.6 * (wave(u_HW + 0.05) - lift_HW)
        return mix(light_3, dark_3, cell_HW % 2) * light_HW[..., None]

    return fill


def petal(inner_3: np.ndarray, outer_3: np.ndarray, centre_v: float, reach: float) -> Fill:
    """From `inner_3` at the heart of a flower at (0, centre_v) to `outer_3` at `reach`."""
    return lambda u_HW, v_HW: mix(
        inner_3, outer_3, np.clip(np.hypot(u_HW, v_HW - centre_v) / reach, 0, 1)
    )


def seeds(color_3: np.ndarray, centre_v: float) -> Fill:
    """Rings of seeds around (0, centre_v), every second one shifted by half a seed."""

    def fill(u_HW: np.ndarray, v_HW: np.ndarray) -> np.ndarray:
        ring_HW = np.hypot(u_HW, v_HW - centre_v) * 14
        turn_HW = np.arctan2(v_HW - centre_v, u_HW) * 5 + np.pi / 2 * np.floor(ring_HW)
        return color_3 * (1 + 0.3 * np.sin(turn_HW) * np.sin(np.pi * (ring_HW % 1)))[..., None]

    return fill


# === Backgrounds ===


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Smooth noise_HW of about [-1, 1] with features of `cell` pixels, and finer ones on them."""
    fine = (max(round(4 * width / cell), 4), max(round(4 * height / cell), 4))
    total = np.zeros(fine[::-1], np.float32)
    for weight, share in ((0.6, 4), (0.3, 2), (0.15, 1)):
        shape = (fine[1] // share + 2, fine[0] // share + 2)
        grid = Image.fromarray(rng.random(shape, np.float32) * 2 - 1)
        total += weight * np.asarray(grid.resize(fine, Image.Resampling.BICUBIC))
    return np.asarray(Image.fromarray(total).resize((width, height), Image.Resampling.BICUBIC))


def _meadow(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """Sky over ranges of hills, the nearer the greener."""
    height, width = y_HW.shape[0], x_HW.shape[1]
    picture_HW3 = _sky(rng, y_HW, x_HW)
    level = rng.uniform(0.25, 0.55)
    ground_3 = tone(rng, "sage", "leaf", "olive", "sand", "mint")
    far_3 = mix(ground_3, picture_HW3[-1, 0], 0.65)
    bands = int(rng.integers(2, 5))
    grain_HW1 = noise(rng, height, width, rng.uniform(4, 12))[..., None]
    for band in range(bands):
        pace, phase = rng.uniform(2, 7), rng.uniform(0, 6)
        ridge_HW = level + rng.uniform(0.02, 0.06) * np.sin(pace * x_HW / width + phase)
        edge_HW = step(y_HW - ridge_HW * height, 1.5)
        share = (band + 1) / bands
        band_HW3 = mix(far_3, ground_3, share) * (1 + 0.2 * share * grain_HW1)
        picture_HW3 = picture_HW3 + (band_HW3 - picture_HW3) * edge_HW[..., None]
        level += rng.uniform(0.08, 0.25)
    return picture_HW3


def _sky(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """A clear to cloudy sky, sometimes at dusk."""
    height, width = y_HW.shape[0], x_HW.shape[1]
    top_3 = tone(rng, "sky", "sky", "denim", "lavender", "mint")
    low_3 = tone(rng, "cream", "white", "rose", "sand")
    picture_HW3 = mix(top_3, low_3, y_HW / height * np.ones_like(x_HW))
    cloud_HW = noise(rng, height, width // 3 + 1, rng.uniform(12, 22))
    cloud_HW = np.repeat(cloud_HW, 3, axis=1)[:, :width]
    cloud_HW = cloud_HW - 0.5 * y_HW / height
    return mix(picture_HW3, PALETTE["white"], 0.75 * step(cloud_HW - rng.uniform(-0.2, 0.5), 0.7))


def _water(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """Ripples, lying flatter and closer together towards the top."""
    height, width = y_HW.shape[0], x_HW.shape[1]
    dark_3, light_3 = tone(rng, "teal", "denim", "slate", "sky"), tone(rng, "mint", "sky", "silver")
    depth_HW = 0.35 + y_HW / height
    swell_HW = noise(rng, height, width, 14)
    wave_HW = np.sin(rng.uniform(22, 40) * np.log(depth_HW) * 1.5 + 3 * swell_HW)
    return mix(dark_3, light_3, 0.45 + 0.3 * wave_HW + 0.2 * swell_HW)


def _planks(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """Boards with grain and dark joints, lying or standing."""
    height, width = y_HW.shape[0], x_HW.shape[1]
    color_3 = tone(rng, "cocoa", "sand", "silver", "slate", "amber", "cream")
    color_3 = mix(color_3, PALETTE["sand"], 0.3)
    board = rng.uniform(12, 28)
    across_HW, grain_HW = y_HW / board, noise(rng, height, max(width // 8, 8), 3)
    if rng.random() < 0.5:
        across_HW, grain_HW = x_HW / board, noise(rng, width, max(height // 8, 8), 3).T
    grain = Image.fromarray(grain_HW).resize((width, height), Image.Resampling.BICUBIC)
    number_HW = np.floor(across_HW).astype(np.int32)
    shade_HW = rng.uniform(0.85, 1.1, 32).astype(np.float32)[number_HW % 32]
    shade_HW *= np.where(across_HW % 1 < 1.5 / board, np.float32(0.65), np.float32(1))
    return color_3 * (shade_HW * (1 + 0.16 * np.asarray(grain)))[..., None]


def _cobbles(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """Round stones: distance to the nearest point of a jittered grid."""
    height, width = y_HW.shape[0], x_HW.shape[1]
    size = rng.uniform(11, 20)
    rows, columns = int(height / size) + 4, int(width / size) + 4
    jitter_2 = rng.uniform(0.15, 0.85, (2, rows, columns)).astype(np.float32)
    y_HW, x_HW = y_HW / size + 1, x_HW / size + 1
    near_HW = np.full((height, width), 9, np.float32)
    for i, j in itertools.product((-1, 0, 1), repeat=2):
        row_HW, column_HW = np.floor(y_HW) + i, np.floor(x_HW) + j
        jitter_2HW = jitter_2[:, row_HW.astype(np.int32), column_HW.astype(np.int32)]
        gap_y_HW, gap_x_HW = jitter_2HW[0] + (row_HW - y_HW), jitter_2HW[1] + (column_HW - x_HW)
        near_HW = np.minimum(near_HW, gap_y_HW * gap_y_HW + gap_x_HW * gap_x_HW)
    stone_3, gap_3 = tone(rng, "slate", "silver", "sand", "sage"), tone(rng, "slate", "cocoa")
    light_HW = 1.08 - 0.5 * near_HW + 0.12 * noise(rng, height, width, 8)
    return mix(stone_3, gap_3, step(near_HW - 0.3, 0.16) * 0.7) * light_HW[..., None]


def _wallpaper(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """A pale pattern of stripes, checks, dots or diamonds: textures of things, on no thing."""
    ground_3 = tone(rng, "cream", "mint", "sky", "rose", "lavender", "sand", "silver", "sage")
    print_3 = mix(ground_3, tone(rng), rng.uniform(0.12, 0.32))
    size = rng.uniform(8, 22)
    angle = (0, np.pi / 4, rng.uniform(0, np.pi))[rng.integers(3)]
    u_HW = (math.cos(angle) * x_HW + math.sin(angle) * y_HW) / size
    v_HW = (math.cos(angle) * y_HW - math.sin(angle) * x_HW) / size
    pattern_HW = (
        np.sin(np.pi * u_HW),
        np.sin(np.pi * u_HW) * np.sin(np.pi * v_HW),
        0.3 - np.hypot(u_HW % 1 - 0.5, v_HW % 1 - 0.5),
        np.abs(u_HW % 1 - 0.5) - np.abs(v_HW % 1 - 0.5),
    )[int(rng.integers(4))]
    return mix(ground_3, print_3, step(pattern_HW, 0.15))


def _plaster(rng: np.random.Generator, y_HW: np.ndarray, x_HW: np.ndarray) -> np.ndarray:
    """Two colours running into each other in patches: walls, sand, snow, moss."""
    first_3, second_3 = tone(rng), tone(rng, "sand", "cream", "silver", "sage", "slate", "sky")
    patch_HW = noise(rng, y_HW.shape[0], x_HW.shape[1], rng.uniform(8, 45))
    return mix(mix(first_3, second_3, 0.5), second_3, 0.5 + 0.8 * patch_HW)


def background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A background_HW3 of a random kind; may leave [0, 255] a little."""
    kinds = (_meadow, _meadow, _sky, _water, _planks, _cobbles, _wallpaper, _plaster)
    y_HW = np.arange(height, dtype=np.float32)[:, None]
    x_HW = np.arange(width, dtype=np.float32)[None, :]
    return kinds[int(rng.integers(len(kinds)))](rng, y_HW, x_HW).astype(np.float32)
