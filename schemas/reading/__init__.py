"""Reading datasets: rows by number, by key and by range."""
