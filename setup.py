"""The project as a package, for images and Beam workers; requirements.lock has the versions."""

from setuptools import find_packages, setup

setup(
    name="deeplab-pipeline",
    version="0.1.0",
    description="TFX pipeline that trains, judges and ships DeepLab v3+",
    python_requires=">=3.11,<3.14",
    # What the code imports, in ranges that hold both lanes of the lock.
    install_requires=[
        "absl-py>=1.4",
        "annotated-types>=0.6",
        "apache-beam>=2.61,<3",
        "google-crc32c>=1.1",
        "grimp>=3",
        "grpcio>=1.60,<2",
        "h5py>=3",
        "jinja2>=3",
        "keras>=3.8,<4",
        "keras-tuner>=1.4.6,<2",
        "ml-metadata>=1.16,<1.22",
        "numpy>=1.26,<3",
        "pillow>=10",
        "protobuf>=4.25,<7",
        "psutil>=5",
        "pydantic>=2,<3",
        "pyyaml>=5.4",
        "rich>=13",
        "scipy>=1.12,<2",
        "simplejpeg",
        "tensorboard>=2.16",
        "tensorflow>=2.16,<2.22",
        "tensorflow-metadata>=1.16,<1.22",
        "tensorflow-model-analysis>=0.47,<0.53",
        "tensorflow-serving-api>=2.16,<2.22",
        "tensorflow-transform>=1.16,<1.22",
        "tfx>=1.16,<1.22",
        # Imported by others for us: TFX has no KubeflowV2DagRunner without kfp.
        "kfp>=2.6,<2.17",
        "kfp-pipeline-spec>=0.3",
    ],
    packages=find_packages(include=["pipeline*", "components*", "models*", "schemas*"]),
    py_modules=["kubeflow_runner", "local_runner"],
    package_data={
        "": ["*.jinja"],
        "components": ["keras_home/keras.json"],
        "pipeline": ["environments/*.toml"],
        "schemas": ["*/*.toml", "*/*.pbtxt"],
    },
    entry_points={"console_scripts": ["deeplab-pipeline = pipeline.__main__:main"]},
)
