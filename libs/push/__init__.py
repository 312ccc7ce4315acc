"""Web push: messages that only a device can read, handed to the push service of its maker."""
