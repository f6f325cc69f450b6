"""Settings that every test needs before JAX, TensorFlow or Beam are imported."""

import os

# Two host devices, so that code that shards over devices is tested as such; TensorFlow stays quiet.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
