"""Stage `indexes`: the embedded engines, each behind a Protocol that the server twins share."""
