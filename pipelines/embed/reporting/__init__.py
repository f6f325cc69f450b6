"""What a job tells of its own work: metrics, the reports of its units, the report of the job, its rates."""
