"""The embedding dataset on disk: manifest, tables, blocks, reading, writing, checking."""
