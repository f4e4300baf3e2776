"""The weights that the authors of DeepLab published."""

_DOWNLOADS = "http://download.tensorflow.org/models"

OFFICIAL_CHECKPOINTS: dict[str, str] = {
    "mobilenet_v2_pascal": f"{_DOWNLOADS}/deeplabv3_mnv2_pascal_train_aug_2018_01_29.tar.gz",
    "mobilenet_v2_dm05_pascal": (
        f"{_DOWNLOADS}/deeplabv3_mnv2_dm05_pascal_trainaug_2018_10_01.tar.gz"
    ),
    "mobilenet_v2_ade20k": f"{_DOWNLOADS}/deeplabv3_mnv2_ade20k_train_2018_12_03.tar.gz",
    "xception_41_imagenet": f"{_DOWNLOADS}/xception_41_2018_05_09.tar.gz",
    "xception_65_imagenet": f"{_DOWNLOADS}/deeplabv3_xception_2018_01_04.tar.gz",
    "xception_65_coco": f"{_DOWNLOADS}/xception_65_coco_pretrained_2018_10_02.tar.gz",
    "xception_65_pascal": f"{_DOWNLOADS}/deeplabv3_pascal_train_aug_2018_01_04.tar.gz",
    "xception_71_imagenet": f"{_DOWNLOADS}/xception_71_2018_05_09.tar.gz",
}
"""Addresses of published weights by the names that stand for them as a source."""
