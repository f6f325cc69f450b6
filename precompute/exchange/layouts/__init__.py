"""A module for each layout: its options, what it reads, what it writes."""
