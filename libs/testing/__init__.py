"""What tests share: specifications, contract suites and the outside world."""
