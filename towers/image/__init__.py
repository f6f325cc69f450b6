"""The towers' families: each module holds one architecture as pure functions, and the names that its files use."""
