"""What the admin shows of sessions beyond their rows: the timeline, the dashboard, the probe's page."""
