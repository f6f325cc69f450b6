"""Names of what workers count, as Beam's metrics show them."""

# Reads that a server or a network broke and that were tried again.
NUM_RETRIED = "num-retried"
