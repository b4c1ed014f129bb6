"""The site's frame: settings, addresses, accounts. Conversations and the relay are apps of their own."""

__version__ = "0.1.0"
