"""Checking datasets: verification and the receipt."""
