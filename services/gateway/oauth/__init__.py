"""OAuth 2.0 as apps speak it over HTTP: registration, consent, tokens, revocation, discovery. What is decided stands in identity."""
