"""The embedded sample data set: rendered pictures with exact label maps.

It stands in for PASCAL VOC in miniature where nothing can be downloaded: six classes distinguished
by texture, shape and partly colour, thin parts, overlaps, truncation, clutter and a 255 border
round every object. Nothing is read; a picture is a pure function of (index, split, seed).
Suffixes: H, W are pixels of the picture; a canvas is SUPERSAMPLING times as large each way.
"""

import io
import itertools
import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from components.dataset.records import Record
from components.dataset.sample.figures import CLASSES, Figure, clutter
from components.dataset.sample.textures import Fill, background, noise

SPLITS = ("train", "val")
SUPERSAMPLING = 2
JPEG_QUALITY = 92
_IGNORE_LABEL = 255
_LEAN = 0.3
_SHADOW_COLOR = (24, 28, 44)
_SHADOW_LEVEL = 100
_CLASS_NAMES = tuple(CLASSES)


class SamplePicture(NamedTuple):
    """A rendered picture: image uint8 RGB, label uint8 class ids and 255 on object borders."""

    name: str
    image_HW3: np.ndarray
    label_HW: np.ndarray


class EncodedPicture(NamedTuple):
    """Bytes of a picture: a JPEG, and a greyscale PNG whose levels are the class ids."""

    image: bytes
    label: bytes


def render_picture(index: int, split: str, seed: int = 0) -> SamplePicture:
    """Renders picture `index` (from 0) of `split`; sides are 96 to 176 pixels.

    Raises:
        ValueError: if the index is negative or the split is none of `SPLITS`.
    """
    if split not in SPLITS:
        raise ValueError(f"expected a split of {SPLITS}; got {split!r}; to fix, name one of them")
    if index < 0:
        raise ValueError(f"expected an index of at least 0; got {index}; to fix, count from 0")
    entropy = np.random.SeedSequence([seed, zlib.crc32(split.encode()), index])
    rng = np.random.Generator(np.random.PCG64(entropy))
    scene = _Scene(rng, *_picture_size(rng))
    _arrange(rng, scene)
    return SamplePicture(f"{split}_{index:05d}", *scene.develop(rng))


def encode_picture(picture: SamplePicture) -> EncodedPicture:
    """Encodes the image as JPEG and the label map losslessly as PNG of mode L."""
    image, label = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture.image_HW3).save(image, "JPEG", quality=JPEG_QUALITY)
    Image.fromarray(picture.label_HW).save(label, "PNG")
    return EncodedPicture(image.getvalue(), label.getvalue())


def render_records(split: str, count: int) -> Iterator[Record]:
    """The first `count` pictures of a split, as records."""
    for index in range(count):
        picture = render_picture(index, split)
        image, label = encode_picture(picture)
        height, width = picture.label_HW.shape
        yield Record(
            filename=f"{picture.name}.jpg",
            image=image,
            image_format="jpeg",
            label=label,
            height=height,
            width=width,
        )


def _picture_size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a landscape, portrait or square picture."""
    long, short = int(rng.integers(136, 177)), int(rng.integers(96, 132))
    kind = rng.choice(3, p=[0.5, 0.25, 0.25])
    return ((short, long), (long, short), (short + 16, short + 16))[kind]


class _Box(NamedTuple):
    """A rectangle of canvas pixels; right and bottom are the first pixels outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    def around(self, outlines: list[np.ndarray]) -> "_Box | None":
        """The smallest box within this one that holds what lies in it of the outlines."""
        points_N2 = np.concatenate(outlines)
        left, top = (math.floor(low) for low in points_N2.min(axis=0).tolist())
        right, bottom = (math.ceil(high) + 1 for high in points_N2.max(axis=0).tolist())
        box = _Box(
            max(left, self.left),
            max(top, self.top),
            min(right, self.right),
            min(bottom, self.bottom),
        )
        return box if min(box.size) > 0 else None


class _Pose(NamedTuple):
    """Where a thing stands on the canvas: its own (1, 0) and (0, 1) in pixels, its centre."""

    axes_22: np.ndarray
    centre_2: np.ndarray

    def to_canvas(self, points_N2: np.ndarray) -> np.ndarray:
        """Coordinates of the thing, (u, v), as canvas pixels, (x, y)."""
        return points_N2 @ self.axes_22 + self.centre_2

    def to_thing(self, box: "_Box") -> tuple[np.ndarray, np.ndarray]:
        """Coordinates u_HW and v_HW of the thing, float32, at the pixels of a box."""
        (a, b), (c, d) = self.axes_22.tolist()
        area = a * d - b * c
        x_W = np.arange(box.left, box.right, dtype=np.float32) - np.float32(self.centre_2[0])
        y_H1 = np.arange(box.top, box.bottom, dtype=np.float32)[:, None] - np.float32(
            self.centre_2[1]
        )
        return x_W * (d / area) - y_H1 * (c / area), y_H1 * (a / area) - x_W * (b / area)


def _pose(rng: np.random.Generator, size: float, centre_2: np.ndarray, turn: float) -> _Pose:
    """A pose at `centre_2`, about 2 * `size` wide, turned by up to `turn`, maybe mirrored."""
    angle = rng.uniform(-turn, turn)
    cos, sin = np.cos(angle), np.sin(angle)
    width = size * rng.uniform(0.9, 1.12) * (-1 if rng.random() < 0.5 else 1)
    return _Pose(np.array([[width * cos, width * sin], [-size * sin, size * cos]]), centre_2)


def _arrange(rng: np.random.Generator, scene: "_Scene") -> None:
    """Puts 1 to 4 objects among clutter, larger ones tending to stand behind."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.3, 0.35, 0.2]))
    names = [str(name) for name in rng.permutation(_CLASS_NAMES)[:count]]
    if count > 1 and rng.random() < 0.2:
        names[1] = names[0]
    largest = 0.66 if count == 1 else 0.52
    sizes = np.sort(np.exp(rng.uniform(np.log(0.23), np.log(largest), count)))[::-1]
    if rng.random() < 0.15:
        sizes[0] = rng.uniform(0.6, 0.85)
    spots: list[np.ndarray] = []
    for _ in range(int(rng.integers(1, 5))):
        _add_clutter(rng, scene)
    for name, size in zip(names, sizes, strict=True):
        spots.append(_spot(rng, spots, size))
        pose = _pose(rng, size * scene.short_side, spots[-1] * scene.extent_2, _LEAN)
        scene.add(CLASSES[name](rng), pose, 1 + _CLASS_NAMES.index(name))
        if rng.random() < 0.2:
            _add_clutter(rng, scene)


def _spot(rng: np.random.Generator, taken: list[np.ndarray], size: float) -> np.ndarray:
    """A place as a share of the canvas: the farthest of four from those taken, or at an edge."""
    if rng.random() < 0.15:
        spot_2 = rng.uniform(0.2, 0.8, 2)
        spot_2[rng.integers(2)] = rng.choice([0.05, 0.95])
        return spot_2
    tries = 0.5 + rng.uniform(-0.4, 0.4, (4, 2)) * (1 - 0.8 * size)
    if not taken:
        return tries[0]
    return max(tries, key=lambda spot_2: min(np.hypot(*(spot_2 - other)) for other in taken))


def _add_clutter(rng: np.random.Generator, scene: "_Scene") -> None:
    size = scene.short_side * np.exp(rng.uniform(np.log(0.06), np.log(0.24)))
    scene.add(clutter(rng), _pose(rng, size, rng.uniform(0, 1, 2) * scene.extent_2, 2 * _LEAN), 0)


class _Scene:
    """A canvas with its background, on which things are laid from back to front."""

    def __init__(self, rng: np.random.Generator, height: int, width: int):
        self._size = (width, height)
        size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        ground = Image.fromarray(np.clip(background(rng, height, width), 0, 255).astype(np.uint8))
        self._canvas = ground.resize(size, Image.Resampling.NEAREST)
        self._things = Image.new("L", size)
        self._labels = [0]
        self.extent_2 = np.array(size, np.float64)
        self.short_side = min(size)
        angle = rng.uniform(-2.4, -0.7)
        self._light_2 = np.array([np.cos(angle), np.sin(angle)])

    def add(self, figure: Figure, pose: _Pose, label: int) -> None:
        """Lays a figure over all that is there, with its shading and a soft shadow."""
        outlines = [pose.to_canvas(part.outline) for part in figure]
        box = _Box(0, 0, *self._canvas.size).around(outlines)
        if box is None:
            return
        patch, cover = (Image.new(mode, box.size) for mode in ("RGB", "L"))
        parts = zip(figure, outlines, strict=True)
        for _, group in itertools.groupby(parts, key=lambda pair: id(pair[0].fill)):
            alike, places = zip(*group, strict=True)
            _paint(patch, cover, box, alike[0].fill, list(places), pose)
        self._paste(patch, cover, box, np.abs(pose.axes_22[1]).max())
        self._things.paste(len(self._labels), box[:2], cover)
        self._labels.append(label)

    def _paste(self, patch: Image.Image, cover: Image.Image, box: _Box, size: float) -> None:
        """Shades a patch away from the light and puts it on the canvas over its soft shadow."""
        reach = max(2, int(size * 0.12))
        width, height = box.size
        soft = Image.new("L", (width + 4 * reach, height + 4 * reach))
        soft.paste(_SHADOW_LEVEL, (2 * reach, 2 * reach), cover)
        soft = soft.filter(ImageFilter.BoxBlur(reach / 2))
        x, y = (round(part * reach * 0.7) for part in self._light_2.tolist())
        place = (box.left - 2 * reach - x, box.top - 2 * reach - y)
        self._canvas.paste(_SHADOW_COLOR, place, soft)
        x, y = x + 2 * reach, y + 2 * reach
        lit = soft.crop((x, y, x + width, y + height))
        shade = ImageChops.subtract(Image.new("L", box.size, _SHADOW_LEVEL), lit, scale=1.3)
        patch.paste(_SHADOW_COLOR, (0, 0), shade)
        self._canvas.paste(patch, box[:2], cover)

    def develop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The finished image_HW3 and label_HW: light, blur and grain; borders set to 255."""
        small = self._canvas.reduce(SUPERSAMPLING)
        small = small.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 0.3, 0.5, 0.7]))))
        image_HW3 = np.asarray(small, np.float32)
        height, width = image_HW3.shape[:2]
        y_HW = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x_HW = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        slope_x, slope_y = (self._light_2 * rng.uniform(0, 0.16)).tolist()
        light_HW = 1.02 + (x_HW * slope_x + y_HW * slope_y)
        light_HW -= rng.uniform(0, 0.1) * (x_HW * x_HW + y_HW * y_HW)
        light_HW += 0.08 * noise(rng, height, width, 60)
        cast_3 = rng.uniform(0.94, 1.06, 3) * rng.uniform(0.85, 1.08)
        grain_HW = rng.standard_normal((height, width), np.float32) * rng.uniform(1, 6)
        image_HW3 = image_HW3 * light_HW[..., None] * np.float32(cast_3) + grain_HW[..., None]
        things = self._things.resize(self._size, Image.Resampling.NEAREST)
        return np.clip(image_HW3, 0, 255).astype(np.uint8), self._label_map(np.asarray(things))

    def _label_map(self, things_HW: np.ndarray) -> np.ndarray:
        """Class ids from numbers of things; 255 on the one-pixel rim just outside each object.

        The rim lies outside, so that poles, legs and stems keep the pixels they have.
        """
        labels = np.array(self._labels, np.uint8)
        label_HW = labels[things_HW]
        objects_HW = np.where(label_HW > 0, things_HW, 0)
        grown_HW = np.pad(objects_HW, 1)
        grown_HW = np.maximum.reduce([grown_HW[:-2], grown_HW[1:-1], grown_HW[2:]])
        grown_HW = np.maximum.reduce([grown_HW[:, :-2], grown_HW[:, 1:-1], grown_HW[:, 2:]])
        label_HW[grown_HW > objects_HW] = _IGNORE_LABEL
        return label_HW


def _paint(
    patch: Image.Image,
    cover: Image.Image,
    box: _Box,
    fill: np.ndarray | Fill,
    outlines: list[np.ndarray],
    pose: _Pose,
) -> None:
    """Fills outlines on `patch`, the colours of a box, and on `cover`, its mask."""
    if isinstance(fill, np.ndarray):
        color = tuple(min(max(int(part), 0), 255) for part in fill.tolist())
        on_patch, on_cover = ImageDraw.Draw(patch), ImageDraw.Draw(cover)
        for outline_N2 in outlines:
            corners = (outline_N2 - box[:2]).ravel().tolist()
            on_patch.polygon(corners, fill=color)
            on_cover.polygon(corners, fill=255)
    elif inner := box.around(outlines):
        stencil = Image.new("L", inner.size)
        on_stencil = ImageDraw.Draw(stencil)
        for outline_N2 in outlines:
            corners = (outline_N2 - inner[:2]).ravel().tolist()
            on_stencil.polygon(corners, fill=255)
        color_HW3 = np.clip(fill(*pose.to_thing(inner)), 0, 255).astype(np.uint8)
        place = (inner.left - box.left, inner.top - box.top)
        patch.paste(Image.fromarray(color_HW3), place, stencil)
        cover.paste(255, place, stencil)
