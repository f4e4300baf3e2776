"""Packages the pipeline for images and Beam workers; requirements.lock has the versions."""

from setuptools import find_packages, setup

setup(
    name="deeplab-pipeline",
    version="0.1.0",
    description="TFX pipeline that trains, judges and ships DeepLab v3+",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline*", "components*", "models*", "schemas*"]),
    package_data={
        "schemas": ["*/*.toml", "*/*.pbtxt"],
        "components.dataset.overview": ["*.jinja"],
        "components.pages": ["*.jinja"],
        "components.report": ["*.jinja"],
    },
)
