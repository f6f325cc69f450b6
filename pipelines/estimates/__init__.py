"""What an embedding job will be, before anything is spent: rows, bytes, hours, machines, money."""
