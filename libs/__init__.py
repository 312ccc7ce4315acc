"""What every service is built on; nothing here knows a service."""
