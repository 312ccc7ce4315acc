"""The gateway: web interface, REST API and live updates. It owns no domain state but web sessions."""
