"""The network, its loss and its metrics."""

from models.deeplab import DeepLabV3Plus

__all__ = ["DeepLabV3Plus"]
