"""The network, its loss and its metrics; Keras is imported with the first network."""

__all__ = ["DeepLabV3Plus"]


def __getattr__(name: str):
    if name == "DeepLabV3Plus":
        from models.deeplab import DeepLabV3Plus

        return DeepLabV3Plus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
