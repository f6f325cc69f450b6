"""The manifest of a dataset, its lists, and what they are made of."""

from lit_precompute.schemas.manifest.manifest import FORMAT_VERSION as FORMAT_VERSION
from lit_precompute.schemas.manifest.manifest import Manifest as Manifest
from lit_precompute.schemas.manifest.source import ManifestSource as ManifestSource
