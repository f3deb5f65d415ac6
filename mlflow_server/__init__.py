"""MLflow's tracking server: over the file that searches write without one, or over PostgreSQL and S3 for a team."""
