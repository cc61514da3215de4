"""The only place with assets, checks, jobs, sensors and schedules; one folder a stage, which imports no other stage.

Bodies read inputs, call one pure function and return what it produces. Partitions, jobs, checks and `produce` stand
beside the folders because every stage uses them.
"""
