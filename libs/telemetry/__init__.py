"""What the product tells its operators: metrics, logs and traces."""
