"""What the rule-based assistant can do, one ability per file. Each takes text and returns text, or None to pass."""
