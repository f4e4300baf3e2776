"""Which TensorFlow Lite files are made, of what they are calibrated, and what they may lose."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from components.options import Options, fault

Kind = Literal["float32", "float16", "int8"]
"""float32: as trained. float16: weights of half the size, computed in float32 where a device has
nothing else. int8: weights, activations, input and output in integers."""

INT8 = "int8"

_MAX_POINTS_LOST: Mapping[Kind, float] = MappingProxyType(
    {"float32": 0.1, "float16": 0.1, INT8: 1.1}
)
"""The official networks lose 0.5 and 1.1 points of mean IoU to training in integers."""

_Points = Annotated[float, Field(ge=0, le=100)]


class TFLiteOptions(Options):
    """The files for phones; none by default."""

    SECTION: ClassVar[str] = "tflite"

    kinds: Annotated[
        tuple[Kind, ...], Field(description="a list of float32, float16, int8, or none of them")
    ] = ()
    """A file of each is made, judged, and pushed with the model; none: no such step."""

    pictures: Annotated[int, Field(ge=0)] = 0
    """So many of the first records of the validation split are judged; 0: all of them."""

    calibration_pictures: Annotated[int, Field(ge=1)] = 100
    """Training pictures, drawn at random, that show an int8 file the range of its numbers."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draw."""

    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Of the interpreter, while it is judged and its time is taken."""

    max_points_lost: Annotated[
        _Points | dict[Kind, _Points],
        Field(
            description="a number of points in [0, 100] for every kind, or an object such as "
            '{"int8": 2}'
        ),
    ] = dict(_MAX_POINTS_LOST)  # noqa: RUF012 (pydantic copies it)
    """A kind whose mean IoU is lower by more than so many points, hundredths of 1, than that of the
    model that was exported stops the push; kinds that an object leaves out have the default."""

    def __hash__(self):
        return hash(self.to_json())

    @pydantic.model_validator(mode="after")
    def _each_once(self):
        if len(set(self.kinds)) < len(self.kinds):
            fix = "name each once"
            got = list(self.kinds)
            raise ValueError(fault(self.SECTION, "kinds", "a list of different kinds", got, fix))
        return self

    def points(self, kind: Kind) -> float:
        """What a kind may lose, in hundredths of the mean IoU."""
        if isinstance(self.max_points_lost, dict):
            return {**_MAX_POINTS_LOST, **self.max_points_lost}[kind]
        return self.max_points_lost
