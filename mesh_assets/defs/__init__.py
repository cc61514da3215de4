"""The only place with assets, checks, jobs, sensors and schedules; one folder a stage."""
