"""The text people write: its Markdown, its emoji, and the ids everything is named by."""
