"""Stage `reports`: insights become pages that a person reads; every statement leads back to bytes."""
