"""The site's next version, for the test of a deploy: tables that are wider, and code that uses what is new in them."""
