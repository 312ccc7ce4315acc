"""What each kind of stream allows: one module a category, three pure functions each."""
