"""`people export | import`: names and corrections moved between libraries."""
